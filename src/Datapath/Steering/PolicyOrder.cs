using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>Which of two policies is tried first, and whether both can match one packet.</summary>
public static class PolicyOrder
{
    /// <summary>As the SPD decides between two: see <see cref="Policy.ComparePrecedence"/>.</summary>
    public static int Compare(Policy a, Policy b) => Policy.ComparePrecedence(a, b);

    /// <summary>An order for sorting, which mostly is the same.</summary>
    public static readonly IComparer<Policy> Comparer = Comparer<Policy>.Create(static (a, b) =>
    {
        int order = b.Type.CompareTo(a.Type);
        order = order != 0 ? order : a.Priority.CompareTo(b.Priority);
        return order != 0 ? order : a.Position.CompareTo(b.Position);
    });

    /// <summary>Some packet could match both. May say yes where none exists, never no where one does.</summary>
    public static bool Overlap(Policy a, Policy b)
    {
        XfrmSelector x = a.Selector, y = b.Selector;
        return x.Family == y.Family
            && x.Daddr.MatchesPrefix(y.Daddr, Math.Min(x.PrefixlenD, y.PrefixlenD), x.Family)
            && x.Saddr.MatchesPrefix(y.Saddr, Math.Min(x.PrefixlenS, y.PrefixlenS), x.Family)
            && (x.Proto == 0 || y.Proto == 0 || x.Proto == y.Proto)
            && ((x.Sport.Raw ^ y.Sport.Raw) & x.SportMask.Raw & y.SportMask.Raw) == 0
            && ((x.Dport.Raw ^ y.Dport.Raw) & x.DportMask.Raw & y.DportMask.Raw) == 0
            && (x.Ifindex == 0 || y.Ifindex == 0 || x.Ifindex == y.Ifindex)
            && ((a.Mark.V ^ b.Mark.V) & a.Mark.M & b.Mark.M) == 0;
    }
}
