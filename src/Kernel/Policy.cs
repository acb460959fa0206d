using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary>
/// One entry of the security policy database: <c>struct xfrm_policy</c>. Everything but the use counters is fixed once it is inserted;
/// an update inserts a new object in its place.
/// </summary>
public sealed class Policy : DatabaseEntry<Policy>
{
    private long _useTime;
    private int _dead;
    private volatile PolicyTemplate[] _templates = [];

    private readonly XfrmSelector _selector;

    public required XfrmSelector Selector
    {
        get => _selector;
        init => _selector = value;
    }

    /// <summary>The same without a copy.</summary>
    public ref readonly XfrmSelector SelectorRef => ref _selector;

    /// <summary>Whose packets it is for: the selector's family, or of a PF_KEY socket policy, whose selector has none, the socket's.</summary>
    public ushort Family
    {
        get => field != AddressFamily.Unspec ? field : Selector.Family;
        init;
    }

    public required PolicyDirection Direction { get; init; }
    public PolicyType Type { get; init; }
    public XfrmLifetimeCfg Lifetime { get; init; } = XfrmLifetimeCfg.Unlimited();
    public uint Priority { get; init; }
    public PolicyAction Action { get; init; }
    public PolicyFlags Flags { get; init; }
    public XfrmMark Mark { get; init; }
    public uint IfId { get; init; }
    public IReadOnlyList<PolicyTemplate> Templates => TemplateArray;

    /// <summary>The transforms, innermost first. Replaced whole where a migration changes them.</summary>
    public PolicyTemplate[] TemplateArray
    {
        get => _templates;
        init => _templates = value;
    }

    /// <summary><c>tmpl->allalgs</c> of a policy made through PF_KEY: its templates take every algorithm though their masks are 0.</summary>
    public bool AcceptsAllAlgorithms { get; init; }

    /// <summary>The raw <c>xfrm_user_sec_ctx</c> of XFRMA_SEC_CTX, stored as Linux without an LSM: accepted and forgotten.</summary>
    public byte[] SecurityContext { get; init; } = [];

    /// <summary>Set when it belongs to a socket (index direction 3, 4): found by that socket's packets only.</summary>
    public bool IsSocketPolicy { get; init; }

    /// <summary>The policy's index; its low three bits are the direction (3, 4, 5 for socket policies).</summary>
    public uint Index { get; set; }

    /// <summary>Age (<c>pos</c>): of two policies with equal priority in different lists the one with the smaller number wins.</summary>
    public ulong Position { get; set; }

    /// <summary>The same within one list, where one that replaced another of its priority keeps that one's place (<c>xfrm_policy_insert_list</c>).</summary>
    public ulong Place { get; set; }

    internal PolicyList List { get; set; }

    /// <summary>Lead on by identity and by index: the SPD's.</summary>
    internal HashLinks<Policy> IdentityLinks;
    internal HashLinks<Policy> IndexLinks;

    /// <summary>What the steering has made of it; nobody else's.</summary>
    public object? Plan { get; set; }

    /// <summary>
    /// Which of two is taken for a packet that both match: less than 0, the first (<c>xfrm_policy_lookup</c>, <c>__xfrm_policy_eval_candidates</c>).
    /// No order for sorting: within a list the place decides, between lists the age, and three may go round in a circle.
    /// </summary>
    public static int ComparePrecedence(Policy a, Policy b)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        int order = b.Type.CompareTo(a.Type);
        order = order != 0 ? order : a.Priority.CompareTo(b.Priority);
        order = order != 0 || a.List != b.List ? order : a.Place.CompareTo(b.Place);
        return order != 0 ? order : a.Position.CompareTo(b.Position);
    }

    /// <summary>Wall-clock seconds at which it was added.</summary>
    public ulong AddTime { get; set; }

    /// <summary>Wall-clock seconds of the last match, 0: never. Written by the packet path.</summary>
    public ulong UseTime => (ulong)Interlocked.Read(ref _useTime);

    public bool IsDead => Volatile.Read(ref _dead) != 0;

    /// <summary>The clock's timestamp of the insertion.</summary>
    internal long InsertedAt { get; set; }

    /// <summary>Set while the control path has an announcement pending for this policy's timers.</summary>
    internal long NextTimer { get; set; }

    public void MarkUsed(ulong now) => Volatile.Write(ref _useTime, (long)now);

    public XfrmLifetimeCur CurrentLifetime => new() { AddTime = AddTime, UseTime = UseTime };

    /// <summary>
    /// <c>refcnt</c> as PF_KEY shows it: one for the database and one for the timer, which Linux lets run once, a second after the insertion,
    /// also where there is no limit. The caller's own hold is not counted.
    /// </summary>
    public int CountReferences(TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        if (IsDead)
        {
            return 0;
        }
        bool timed = NextTimer != 0 || (!IsSocketPolicy && time.GetElapsedTime(InsertedAt) < TimeSpan.FromSeconds(1));
        return timed ? 2 : 1;
    }

    /// <summary>Gives it other tunnel ends (<see cref="Migration"/>).</summary>
    internal void ReplaceTemplates(PolicyTemplate[] templates) => _templates = templates;

    /// <summary>True for the one caller that made it so.</summary>
    internal bool Kill() => Interlocked.Exchange(ref _dead, 1) == 0;

    /// <summary>It lets pass in clear all that there is of its family: what IKE daemons ask for their sockets.</summary>
    public bool LetsAllPass => Action == PolicyAction.Allow && TemplateArray.Length == 0
        && (_selector.PrefixlenD | _selector.PrefixlenS | _selector.Proto | _selector.SportMask.Raw | _selector.DportMask.Raw | _selector.Ifindex) == 0;

    /// <summary>Whether two do the same to the same packets, whatever they are called and how long they live.</summary>
    public static bool AreAlike(Policy? a, Policy? b) => a is null || b is null
        ? a == b
        : a.Selector == b.Selector && (a.Family, a.Direction, a.Type, a.Action, a.Flags, a.Mark, a.IfId, a.AcceptsAllAlgorithms)
            == (b.Family, b.Direction, b.Type, b.Action, b.Flags, b.Mark, b.IfId, b.AcceptsAllAlgorithms)
            && MemoryMarshal.AsBytes<PolicyTemplate>(a.TemplateArray).SequenceEqual(MemoryMarshal.AsBytes<PolicyTemplate>(b.TemplateArray));

    /// <summary><c>xfrm_policy_match</c> without the security context: mark, if_id and selector fit the flow.</summary>
    public bool Matches(in Flow flow) =>
        Family == flow.Family && IfId == flow.IfId && Mark.Matches(flow.Mark) && Selector.Matches(flow, flow.Family);
}
