using System.Collections.Immutable;
using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Engine;

public sealed partial class NamespaceDatapath
{
    private ImmutableDictionary<WorkerThread, Action> _outboundSweeps = ImmutableDictionary<WorkerThread, Action>.Empty;
    private Action? _inboundSweep;
    private Action<uint>? _inboundForget;
    private readonly Dictionary<uint, int> _mtus = [];
    private readonly HashSet<ushort> _plainTunnels = [];
    private readonly List<SecurityAssociation> _departed = [];
    private bool _sweeping;

    public void PolicyInserted(Policy policy, Policy? replaced) => TryStart();

    public void PoliciesRemoved(IReadOnlyList<Policy> policies)
    {
    }

    public void DefaultPolicyChanged() => TryStart();

    public void SocketPolicyChanged(ulong socketInode, Policy? inbound, Policy? outbound)
    {
        if (inbound is null && outbound is null)
        {
            ReleaseSocket(socketInode);   // closed: of others CoverSocket has been told
        }
    }

    public void SaInserted(SecurityAssociation sa)
    {
        if (TryStart() && sa.State == SaState.Valid)
        {
            AdaptMtu(sa);
            if (sa.NatKeepaliveInterval != 0)
            {
                SendKeepalives();
            }
            if (sa is { Id.Proto: IpProtocol.Comp, Mode: XfrmMode.Tunnel } && sa.Direction != SaDirection.Out)
            {
                ReceivePlainTunnels(sa.Family);
            }
        }
    }

    /// <summary>
    /// What an IPComp tunnel does not compress comes as plain IP in IP (<c>xfrm4_tunnel.c</c>, <c>xfrm6_tunnel.c</c>): from the first such SA on it is
    /// received too. Under the namespace's gate.
    /// </summary>
    private void ReceivePlainTunnels(ushort family)
    {
        if (_inboundThread is not { } thread || !_plainTunnels.Add(family))
        {
            return;
        }
        List<RawArrivalPort> ports = NetworkNamespace.Run(_netns, () =>
        {
            List<RawArrivalPort> opened = [];
            foreach (byte protocol in (ReadOnlySpan<byte>)[IpProtocol.IpIp, IpProtocol.Ipv6])
            {
                opened.Add(new(PacketSockets.OpenRawReceiver(family, protocol, BypassMark, _options.ReceiveBuffer), family, protocol));
            }
            return opened;
        });
        AddPorts(thread, ports);
    }

    /// <summary>More sockets for the inbound worker.</summary>
    private void AddPorts(WorkerThread thread, List<RawArrivalPort> ports)
    {
        _resources.AddRange(ports);
        thread.Post(() => ports.ForEach(p => _ports!.Add(p.Socket, p)));
    }

    /// <summary>
    /// Each worker lets go of the SAs between two batches; the last one has the keys zeroed. While one round is under way what goes meanwhile
    /// waits for the next: who deletes thousands wakes the workers a few times.
    /// </summary>
    public void SasRemoved(IReadOnlyList<SecurityAssociation> sas)
    {
        if (_space.Sad.Count == 0)
        {
            _mtus.Clear();
        }
        _departed.AddRange(sas);
        if (!_sweeping)
        {
            Sweep();
        }
    }

    private void Sweep()
    {
        _sweeping = _departed.Count > 0;
        if (!_sweeping)
        {
            return;
        }
        SecurityAssociation[] removed = [.. _departed];
        _departed.Clear();
        List<(WorkerThread Thread, Action Sweep)> sweeps = [.. _outboundSweeps.Select(s => (s.Key, s.Value))];
        if (_inboundThread is { } inbound && _inboundSweep is { } sweep)
        {
            sweeps.Add((inbound, sweep));
        }
        if (sweeps.Count == 0)
        {
            DisposeLater(removed);
            return;
        }
        int left = sweeps.Count;
        foreach ((WorkerThread thread, Action each) in sweeps)
        {
            thread.Post(() =>
            {
                each();
                if (Interlocked.Decrement(ref left) == 0)
                {
                    DisposeLater(removed);
                }
            });
        }
    }

    /// <summary>After the request that removed them: its event still tells what they were.</summary>
    private void DisposeLater(SecurityAssociation[] sas) => ThreadPool.QueueUserWorkItem(_ =>
    {
        lock (_space.Gate)
        {
            foreach (SecurityAssociation sa in sas)
            {
                sa.Dispose();
            }
            Sweep();
        }
    });

    /// <summary>
    /// The device of an if_id gets the MTU of the narrowest SA behind it, so that hosts choose sizes that fit at once; what is larger than the
    /// path of its own SA is answered packet by packet.
    /// </summary>
    private void AdaptMtu(SecurityAssociation sa)
    {
        if (sa.IfId == 0 || sa.Direction == SaDirection.In || _local is not { } local || local.IsLocal(sa.Id.Daddr, sa.Family) || _paths is not { } paths)
        {
            return;
        }
        int inner = Math.Max(Pmtu.Inner(sa, paths.MtuTowards(sa.Id.Daddr, sa.Family)), Ipv6View.MinMtu);
        if (!_mtus.TryGetValue(sa.IfId, out int mtu) || inner < mtu)
        {
            _mtus[sa.IfId] = inner;
            _steering?.SetMtu(sa.IfId, inner);
            _logger.MtuChanged(inner);
        }
    }
}
