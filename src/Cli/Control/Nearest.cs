using Xfrmd.Kernel;

namespace Xfrmd.Cli.Control;

/// <summary>What would almost have matched, and what differs: the first thing that one looks for when nothing does.</summary>
internal static class Nearest
{
    /// <summary>The policy that differs from a flow in the fewest things.</summary>
    public static string Policy(XfrmNamespace space, in Flow flow, PolicyDirection direction)
    {
        string name = direction.ToString().ToLowerInvariant();
        (Policy? nearest, List<string> why) = (null, []);
        lock (space.Gate)
        {
            foreach (Policy policy in space.Spd.Ordered(direction))
            {
                if (policy.Selector.Family == flow.Family && Differences(policy.Selector, flow) is var differences)
                {
                    Add(differences, !policy.Mark.Matches(flow.Mark), "mark");
                    Add(differences, policy.IfId != flow.IfId, "if_id");
                    if (nearest is null || differences.Count < why.Count)
                    {
                        (nearest, why) = (policy, differences);
                    }
                }
            }
        }
        return nearest is null ? $"there is no {name} policy at all" : $"nearest is {Describe.Selector(nearest.Selector)}, {Differs(why)}";
    }

    /// <summary>The SA that fits a template in the most things.</summary>
    /// <param name="space">Its SAs.</param>
    /// <param name="template">What is asked for.</param>
    /// <param name="policy">Who asks.</param>
    /// <param name="flow">For whom.</param>
    /// <param name="remote">The destination that the SA must have.</param>
    /// <param name="local">The source that the SA must have.</param>
    public static string Sa(XfrmNamespace space, in PolicyTemplate template, Policy policy, in Flow flow, in XfrmAddress remote, in XfrmAddress local)
    {
        (SecurityAssociation? nearest, List<string> why) = (null, []);
        lock (space.Gate)
        {
            foreach (SecurityAssociation sa in space.Sad.All)
            {
                if (sa.Id.Proto != template.Id.Proto || sa.Family != template.Family)
                {
                    continue;
                }
                List<string> differences = [];
                Add(differences, sa.State != SaState.Valid, $"state ({sa.State.ToString().ToLowerInvariant()})");
                Add(differences, !sa.Id.Daddr.Equals(remote, sa.Family), "destination");
                Add(differences, !sa.Saddr.Equals(local, sa.Family), "source");
                Add(differences, template.Reqid != 0 && sa.Reqid != template.Reqid, $"reqid ({sa.Reqid})");
                Add(differences, sa.Mode != template.Mode, $"mode ({Describe.Mode(sa.Mode)})");
                Add(differences, template.Id.Spi.Raw != 0 && sa.Id.Spi != template.Id.Spi, "SPI");
                Add(differences, sa.IfId != policy.IfId, $"if_id ({sa.IfId})");
                Add(differences, !sa.Mark.Matches(policy.Mark.V & policy.Mark.M), "mark");
                Add(differences, !InboundPolicyCheck.SelectorAccepts(sa, flow), $"selector ({Describe.Selector(sa.Selector)})");
                if (nearest is null || differences.Count < why.Count)
                {
                    (nearest, why) = (sa, differences);
                }
            }
            return nearest is null ? $"there is no {Describe.Protocol(template.Id.Proto)} SA at all" : $"nearest is {Describe.Sa(nearest)}, {Differs(why)}";
        }
    }

    private static List<string> Differences(in XfrmSelector selector, in Flow flow)
    {
        List<string> differences = [];
        Add(differences, !selector.Saddr.MatchesPrefix(flow.Saddr, selector.PrefixlenS, flow.Family), "source");
        Add(differences, !selector.Daddr.MatchesPrefix(flow.Daddr, selector.PrefixlenD, flow.Family), "destination");
        Add(differences, selector.Proto != 0 && selector.Proto != flow.Proto, "protocol");
        Add(differences, ((flow.Sport ^ selector.Sport.Value) & selector.SportMask.Value) != 0, "source port");
        Add(differences, ((flow.Dport ^ selector.Dport.Value) & selector.DportMask.Value) != 0, "destination port");
        Add(differences, selector.Ifindex != 0 && selector.Ifindex != flow.Oif, "device");
        return differences;
    }

    private static string Differs(List<string> why) => why.Count == 0 ? "which fits" : $"which differs in {string.Join(", ", why)}";

    private static void Add(List<string> differences, bool differs, string what)
    {
        if (differs)
        {
            differences.Add(what);
        }
    }
}
