using System.Globalization;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

// Sockets' own policies: two chains for each class, before those of the SPD.
public sealed partial class NetfilterSteering
{
    private readonly List<SocketChains> _sockets = [];
    private bool _canMatchSockets = true;

    public SocketClass? AddSocketClass()
    {
        lock (_lock)
        {
            if (_classes.Take() is not { } number)
            {
                return null;
            }
            SocketChains added = NewSocketChains(new SocketClass(number));
            _sockets.Add(added);
            CommitOrRewrite();
            return added.Class;
        }
    }

    public void SetSocketClass(SocketClass sockets, Policy? inbound, Policy? outbound, uint mark)
    {
        lock (_lock)
        {
            SocketChains chains = _sockets.First(s => s.Class == sockets);
            Exchange(chains.Inbound, sockets.Inbound, inbound);
            Exchange(chains.Outbound, sockets.Outbound, outbound);
            (sockets.Inbound, sockets.Outbound, sockets.Mark) = (inbound, outbound, mark);
            if (outbound is not null && SocketVerdict(sockets, outbound).Action == SteeringAction.Protect && DeviceOfClass(sockets.Number) is null)
            {
                AddTable(sockets.Number);
                AddDevice(_options.Tun.Name, 0, default, 0, sockets.Number, sockets: sockets);
            }
            CommitOrRewrite();
        }
    }

    private static void Exchange(PolicyLayers layers, Policy? old, Policy? policy)
    {
        if (old != policy)
        {
            layers.Remove(old is null ? [] : [old]);
            if (policy is not null)
            {
                layers.Insert(policy);
            }
        }
    }

    /// <summary>After all else has been written anew.</summary>
    private void WriteSocketClasses()
    {
        for (int i = 0; i < _sockets.Count; i++)
        {
            SocketClass sockets = _sockets[i].Class;
            SocketChains chains = _sockets[i] = NewSocketChains(sockets);
            Exchange(chains.Inbound, null, sockets.Inbound);
            Exchange(chains.Outbound, null, sockets.Outbound);
        }
    }

    private SocketChains NewSocketChains(SocketClass sockets)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"sockets{sockets.Number}"), outbound = name + "-out", inbound = name + "-in";
        _base.WriteWayInto(outbound, inbound, sockets.Number, _canMatchSockets);
        NetfilterPolicyChain Chain(string chain, PolicyChainKind kind) => new(_batch, _options.Marks, new NetfilterPolicyChain.Place(chain, kind, null));
        return new SocketChains(
            sockets, Chain(outbound, PolicyChainKind.Out), Chain(inbound, PolicyChainKind.In), policy => SocketVerdict(sockets, policy), ~_options.Marks.Owned);
    }

    private static SteeringVerdict SocketVerdict(SocketClass sockets, Policy policy) => policy switch
    {
        { Action: PolicyAction.Block } => new SteeringVerdict(SteeringAction.Block),
        { TemplateArray.Length: 0 } => new SteeringVerdict(SteeringAction.Bypass),
        { Direction: PolicyDirection.Out } => new SteeringVerdict(SteeringAction.Protect, sockets.Number),
        _ => InboundVerdict(policy) ?? new SteeringVerdict(SteeringAction.Bypass),
    };

    private sealed class SocketChains(
        SocketClass sockets, NetfilterPolicyChain outbound, NetfilterPolicyChain inbound, Func<Policy, SteeringVerdict?> verdictOf, uint foreignMark)
    {
        public SocketClass Class => sockets;

        public PolicyLayers Outbound { get; } = new(outbound, verdictOf, foreignMark);

        public PolicyLayers Inbound { get; } = new(inbound, verdictOf, foreignMark);

        public bool TakeHandle(uint id, ulong handle) => outbound.TakeHandle(id, handle) || inbound.TakeHandle(id, handle);
    }
}
