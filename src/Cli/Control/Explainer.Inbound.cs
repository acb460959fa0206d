using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;

namespace Xfrmd.Cli.Control;

internal sealed partial class Explainer
{
    /// <summary>A packet that has come, for this host or to be forwarded: through which SAs it must have come (<c>__xfrm_policy_check</c>).</summary>
    private void WalkIn(PolicyDirection direction)
    {
        if (direction == PolicyDirection.In && BypassesAs(_flow.Dport))
        {
            Tell("socket policy", $"UDP port {_flow.Dport} is an IKE daemon's socket with a bypass policy: taken in clear, whatever the SPD says");
            return;
        }
        if (_view.Steering is { } steering)
        {
            Tell("in clear", steering.Explain(_flow, direction));
        }
        string name = direction.ToString().ToLowerInvariant();
        if (_space.Spd.Find(_flow, direction) is not { } policy)
        {
            if (_space.Spd.Default(direction) == PolicyAction.Block)
            {
                Tell("policy", $"no {name} policy matches; {Nearest.Policy(_space, _flow, direction)}");
                Drop(XfrmCounter.InNoPols, "the default policy blocks");
                return;
            }
            Tell("policy", $"no {name} policy matches: passes in clear, and is dropped (XfrmInNoPols) if it comes through a tunnel; {Nearest.Policy(_space, _flow, direction)}");
            return;
        }
        TellPolicy("policy", policy, direction);
        // Linux asks for direction IN here whatever the check is for.
        Policy? main = policy is { Type: PolicyType.Sub, Action: PolicyAction.Allow } ? _space.Spd.Find(_flow, PolicyDirection.In, PolicyType.Main) : null;
        if (main is not null)
        {
            TellPolicy("main policy", main, PolicyDirection.In);
        }
        if (policy.Action == PolicyAction.Block || main?.Action == PolicyAction.Block)
        {
            Drop(XfrmCounter.InPolBlock, "the policy blocks");
            return;
        }
        // The outermost SA comes off first.
        (Policy Policy, PolicyTemplate Template)[] asked = [.. (main is null ? new[] { policy } : [policy, main]).SelectMany(p => p.TemplateArray.Select(t => (p, t))).Reverse()];
        if (asked.Length == 0)
        {
            Tell("input", "passes in clear: the policy asks for nothing; through a tunnel it is dropped (XfrmInTmplMismatch)");
            return;
        }
        bool isBound = false;
        foreach ((Policy owner, PolicyTemplate template) in asked)
        {
            Tell("template", Describe.Template(template));
            if (FindFor(template, owner) is { } sa)
            {
                isBound |= !template.IsOptional;
                Tell("SA", Describe.Sa(sa) + Limits(sa));
                if (!InboundPolicyCheck.SelectorAccepts(sa, _flow))
                {
                    Drop(XfrmCounter.InStateMismatch, $"the SA's selector, {Describe.Selector(sa.Selector)}, does not take this flow");
                    return;
                }
            }
            else if (template.IsOptional)
            {
                Tell("SA", "none, and none is needed: the template is optional");
            }
            else
            {
                Tell("SA", $"none; {Nearest.Sa(_space, template, owner, _flow, template.HasTunnelAddresses ? template.Id.Daddr : _flow.Daddr, template.HasTunnelAddresses ? template.Saddr : _flow.Saddr)}");
                Drop(XfrmCounter.InNoStates, "what the peer sends finds no SA here, and in clear it is dropped as XfrmInTmplMismatch");
                return;
            }
        }
        _verdict = isBound ? ExplainReport.Opened : ExplainReport.Clear;
        Tell("input", isBound ? "passes if it comes through that SA; in clear it is dropped (XfrmInTmplMismatch)" : "passes, through those SAs or in clear: all templates are optional");
    }

    private SecurityAssociation? FindFor(PolicyTemplate template, Policy policy)
    {
        lock (_space.Gate)
        {
            SecurityAssociation[] fitting = [.. _space.Sad.All.Where(sa => sa.State == SaState.Valid && sa.Direction != SaDirection.Out
                && InboundPolicyCheck.Fits(template, policy.AcceptsAllAlgorithms, sa, _flow.Family, policy.IfId)
                && (sa.Mode != XfrmMode.Transport || (sa.Id.Daddr.Equals(_flow.Daddr, sa.Family) && sa.Saddr.Equals(_flow.Saddr, sa.Family))))];
            return Array.Find(fitting, sa => InboundPolicyCheck.SelectorAccepts(sa, _flow)) ?? fitting.FirstOrDefault();
        }
    }
}
