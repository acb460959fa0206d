using System.Globalization;
using Xfrmd.Datapath;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;

namespace Xfrmd.Cli.Control;

/// <summary>
/// The walk of a packet, told: steering, policy, templates, SAs, socket; or where it ends, with what came nearest. It asks the same functions
/// that decide about packets, and changes nothing. Files: Explainer.cs the way out, Explainer.Inbound.cs the way in.
/// </summary>
internal sealed partial class Explainer
{
    private readonly INamespaceView _view;
    private readonly XfrmNamespace _space;
    private readonly Flow _flow;
    private readonly List<ExplainStep> _steps = [];
    private string _verdict = ExplainReport.Clear;
    private XfrmCounter? _counter;

    private Explainer(INamespaceView view, in Flow flow) => (_view, _space, _flow) = (view, view.Space, flow);

    public static ExplainReport Explain(INamespaceView view, ExplainQuery query, in Flow flow)
    {
        Explainer explainer = new(view, flow);
        explainer.Tell("flow", Describe.Flow(flow) + (flow.Mark == 0 ? "" : $", mark 0x{flow.Mark:x}") + (flow.IfId == 0 ? "" : $", if_id {flow.IfId}"));
        explainer.Walk(query);
        return new ExplainReport
        {
            Verdict = explainer._verdict,
            Counter = explainer._counter is { } counter ? "Xfrm" + counter : null,
            Steps = explainer._steps,
        };
    }

    private void Walk(ExplainQuery query)
    {
        switch (query)
        {
            case { Direction: "out" }:
                WalkOut();
                break;
            case { Direction: "in" }:
                WalkIn(PolicyDirection.In);
                break;
            case { Direction: "fwd" }:
                WalkIn(PolicyDirection.Fwd);
                break;
            case { IsSourceLocal: true, IsDestinationLocal: true }:
                Tell("direction", "both addresses are this host's: loopback, which policies never touch");
                break;
            case { IsDestinationLocal: true }:
                Tell("direction", "in: the destination is this host");
                WalkIn(PolicyDirection.In);
                break;
            case { IsSourceLocal: true }:
                Tell("direction", "out: the source is this host");
                WalkOut();
                break;
            default:
                Tell("direction", "forwarded: neither address is this host's");
                WalkIn(PolicyDirection.Fwd);
                if (_verdict != ExplainReport.Dropped)
                {
                    string came = _verdict;
                    WalkOut();
                    _verdict = _verdict == ExplainReport.Clear ? came : _verdict;
                }
                break;
        }
    }

    private void WalkOut()
    {
        if (BypassesAs(_flow.Sport))
        {
            Tell("socket policy", $"UDP port {_flow.Sport} is an IKE daemon's socket with a bypass policy: leaves in clear, whatever the SPD says");
            return;
        }
        if (_flow.Sport == 0 && BypassesAs(_flow.Dport))
        {
            Tell("socket policy", $"none for this flow; the IKE daemon's own socket (--sport {_flow.Dport}) has a bypass policy");
        }
        if (_view.Steering is { } steering)
        {
            Tell("steering", steering.Explain(_flow, PolicyDirection.Out));
        }
        OutboundDecision decision = _space.Resolver.Resolve(_flow, probe: true);
        if (decision.Policy is not { } policy)
        {
            bool passes = decision.Action == OutboundAction.Bypass;
            Tell("policy", passes
                ? $"no out policy matches: leaves in clear; {Nearest.Policy(_space, _flow, PolicyDirection.Out)}"
                : $"no out policy matches, and the default policy blocks: EPERM; {Nearest.Policy(_space, _flow, PolicyDirection.Out)}");
            _verdict = passes ? ExplainReport.Clear : ExplainReport.Dropped;
            return;
        }
        // A sub policy that allows leads on to the main one; a decision that failed names the one that it failed at.
        Policy? main = decision.MainPolicy;
        policy = main == policy ? _space.Spd.Find(_flow, PolicyDirection.Out) ?? policy : policy;
        TellPolicy("policy", policy, PolicyDirection.Out);
        if (main is not null)
        {
            TellPolicy("main policy", main, PolicyDirection.Out);
        }
        if (decision.Counter == XfrmCounter.OutPolBlock)
        {
            Drop(XfrmCounter.OutPolBlock, "the policy blocks: EPERM");
            return;
        }
        TellTemplates(decision, main is null ? [policy] : [policy, main]);
        switch (decision.Action)
        {
            case OutboundAction.Transform:
                TellOutput(decision);
                break;
            case OutboundAction.Bypass:
                Tell("output", "leaves in clear: the policy asks for nothing");
                break;
            case OutboundAction.Pending:
                Drop(XfrmCounter.OutNoStates, "dropped until there is an SA; the IKE daemon is asked for one (ACQUIRE)");
                _verdict = ExplainReport.Pending;
                break;
            default:
                Drop(decision.Counter, $"{decision.Errno}{(decision.Errno == Errno.EHOSTUNREACH ? ": no route to the tunnel's remote address" : "")}");
                break;
        }
    }

    private void TellTemplates(OutboundDecision decision, Policy[] policies)
    {
        int found = 0;
        (XfrmAddress remote, XfrmAddress local) = (_flow.Daddr, _flow.Saddr);
        foreach ((Policy policy, PolicyTemplate template) in policies.SelectMany(p => p.TemplateArray.Select(t => (p, t))))
        {
            Tell("template", Describe.Template(template));
            if (template.HasTunnelAddresses)
            {
                (remote, local) = (template.Id.Daddr, template.Saddr);
            }
            if (found < decision.Sas.Length)
            {
                SecurityAssociation sa = decision.Sas[found++];
                Tell("SA", Describe.Sa(sa) + Limits(sa));
            }
            else if (template.IsOptional)
            {
                Tell("SA", "none, and none is needed: the template is optional");
            }
            else if (decision.Action != OutboundAction.Transform)
            {
                // The failed decision names no SAs: the first template without one is found anew.
                SaSearch search = _space.Sad.FindForTemplate(template, remote, local, _flow, policy, 0, out SecurityAssociation? sa);
                if (search == SaSearch.Found && sa is not null)
                {
                    Tell("SA", sa.Direction == SaDirection.In ? Describe.Sa(sa) + ": an inbound SA" : Describe.Sa(sa) + Limits(sa));
                    continue;
                }
                string state = search switch
                {
                    SaSearch.InProgress => "being negotiated",
                    SaSearch.Failed => "expired, or given up by the IKE daemon",
                    SaSearch.SpiTaken => "the SPI belongs to another SA",
                    _ => "none",
                };
                Tell("SA", $"{state}; {Nearest.Sa(_space, template, policy, _flow, remote, local)}");
                return;
            }
        }
    }

    private void TellOutput(OutboundDecision decision)
    {
        SecurityAssociation outer = decision.Sas[^1];
        foreach (SecurityAssociation sa in decision.Sas)
        {
            XfrmLifetimeCur used = sa.CurrentLifetime;
            if (used.Bytes >= sa.Lifetime.HardByteLimit || used.Packets >= sa.Lifetime.HardPacketLimit)
            {
                Drop(XfrmCounter.OutStateExpired, $"SA 0x{sa.Id.Spi.Value:x8} has reached its hard limit");
                return;
            }
        }
        _verdict = ExplainReport.Protected;
        string ends = $"from {outer.Saddr.ToString(outer.Family)} to {outer.Id.Daddr.ToString(outer.Family)}";
        if (outer.Encap is { } encap)
        {
            bool shared = _view.SharesUdpPort(outer.Saddr, outer.Family, encap.EncapSport.Value);
            Tell("socket", $"{Describe.Protocol(outer.Id.Proto)} in UDP {encap.EncapSport.Value} → {encap.EncapDport.Value} {ends}, through {(shared ? "a socket that shares the IKE daemon's port" : "a raw socket")}");
        }
        else
        {
            Tell("socket", $"{Describe.Protocol(outer.Id.Proto)} {ends}, through a raw socket");
        }
        if (_view.PathMtu(outer.Id.Daddr, outer.Family) is { } path)
        {
            int inner = path;
            foreach (SecurityAssociation sa in decision.Sas.Reverse())
            {
                inner = Pmtu.Inner(sa, inner);
            }
            Tell("size", string.Create(CultureInfo.InvariantCulture, $"{inner} bytes fit unfragmented (path MTU {path}); larger ones with DF are answered with ICMP"));
        }
    }

    private void TellPolicy(string step, Policy policy, PolicyDirection direction)
    {
        PolicyReport report = Describe.Report(policy);
        Tell(step, string.Create(CultureInfo.InvariantCulture,
            $"dir {direction.ToString().ToLowerInvariant()} {report.Selector}, priority {policy.Priority}, index {policy.Index}: {report.Action}"));
    }

    private bool BypassesAs(ushort port)
    {
        Flow flow = _flow;
        return flow.Proto == IpProtocol.Udp && port != 0 && _view.BypassPorts.Any(b => b.Port == port && (b.Family == flow.Family || b.Family == AddressFamily.Inet6));
    }

    private void Tell(string step, string result) => _steps.Add(new ExplainStep(step, result));

    private void Drop(XfrmCounter? counter, string why)
    {
        _verdict = ExplainReport.Dropped;
        _counter = counter;
        Tell("drop", counter is { } counted ? $"{why}; counted as Xfrm{counted}" : why + "; not counted");
    }

    private static string Limits(SecurityAssociation sa) => sa.IsDying ? ", past its soft limit" : "";
}
