using System.Collections.ObjectModel;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Capture;
using Xfrmd.Datapath.Direct;
using Xfrmd.Datapath.Ports;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// Carries the packets of one network namespace: steering, TUN devices, sockets and workers. Nothing of it exists until the first policy or
/// SA comes. Files: NamespaceDatapath.cs start and stop, NamespaceDatapath.Observer.cs what the databases say, NamespaceDatapath.Udp.cs the
/// ports that are shared with IKE daemons, NamespaceDatapath.Sockets.cs sockets with policies of their own, NamespaceDatapath.Keepalives.cs
/// what keeps NATs open.
/// </summary>
public sealed partial class NamespaceDatapath : IDatabaseObserver, IDisposable
{
    private static readonly byte[] Protocols = [IpProtocol.Esp, IpProtocol.Ah, IpProtocol.Comp];
    private readonly XfrmNamespace _space;
    private readonly SafeFileHandle _netns;
    private readonly DatapathOptions _options;
    private readonly ILogger _logger;
    private readonly IpIdentifiers _identifiers = new();
    private readonly MtuEchoes _echoes = new();
    private readonly UdpEncapSockets _udpSockets = new();
    private readonly LearnedMtus _learnedMtus;
    private readonly List<IDisposable> _resources = [];
    private readonly Lock _workersGate = new();
    private WorkerThread[] _workers = [];
    private RouteQuery? _query;
    private RoutePaths? _paths;
    private LocalAddresses? _local;
    private DirectPaths? _direct;
    private InboundPorts? _ports;
    private static readonly Action Nothing = () => { };   // posted to wake a thread
    private WorkerThread? _inboundThread;
    private (OutboundTurn Turn, WorkerThread Thread) _ordinary;
    private NetfilterSteering? _steering;
    private volatile SteeringDevice[] _devices = [];
    private string? _failure;
    private bool _disposed;

    /// <param name="space">The namespace's databases. The caller adds this to its observers.</param>
    /// <param name="netns">The network namespace; owned.</param>
    /// <param name="options">Names and sizes.</param>
    /// <param name="logger">Where it is told.</param>
    public NamespaceDatapath(XfrmNamespace space, SafeFileHandle netns, DatapathOptions options, ILogger logger)
    {
        (_space, _netns, _options, _logger) = (space, netns, options, logger);
        _learnedMtus = new LearnedMtus(space, _udpSockets);
    }

    /// <summary>The mark of all that leaves protected.</summary>
    public uint BypassMark => _options.Steering.Marks.Bypass;

    public bool IsRunning => _inboundThread is not null;

    /// <summary>What passes by routing and netfilter; null where nothing may.</summary>
    public DirectPaths? Direct => _direct;

    /// <summary>Where packets can be looked at.</summary>
    public CaptureHub Captures { get; } = new(TimeProvider.System);

    /// <summary>What steers packets here; null until it runs.</summary>
    public ISteering? Steering => _steering;

    /// <summary>The MTU of the path to an outer destination; null until it runs.</summary>
    public int? PathMtu(in XfrmAddress daddr, ushort family) => _paths?.MtuTowards(daddr, family);

    /// <summary>Whether ESP in UDP from this address and port leaves through a socket that shares an IKE daemon's port.</summary>
    public bool SharesUdpPort(in XfrmAddress saddr, ushort family, ushort port) =>
        _udpSockets.Find(saddr.Bytes[..(family == AddressFamily.Inet ? 4 : 16)], port) is not null;

    /// <summary>Starts unless it runs already. Under the namespace's gate. False: it cannot, and has said why; each change tries again.</summary>
    public bool TryStart()
    {
        if (IsRunning || _disposed)
        {
            return IsRunning;
        }
        try
        {
            Start();
            _failure = null;
            return true;
        }
        catch (Exception e) when (e is LinuxException or IOException or UnauthorizedAccessException)
        {
            if (_failure != e.Message)
            {
                _failure = e.Message;
                _logger.CannotStart(_space.Inode, e.Message);
            }
            Stop();
            return false;
        }
    }

    /// <summary>Stops all and removes what it made. Under the namespace's gate.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }
        _disposed = true;
        _space.Observers.Remove(this);
        Stop();
        _netns.Dispose();
    }

    private void Start()
    {
        (_query, LocalTable table, RouteClient routes) = NetworkNamespace.Run(_netns, () => (new RouteQuery(), new LocalTable(), new RouteClient()));
        _resources.AddRange([_query, table, routes]);
        _local = new LocalAddresses(table);
        _local.Refresh();
        _paths = new RoutePaths(_query, BypassMark, _echoes, _learnedMtus, _local);
        RoutePaths paths = _paths;
        _space.SourceAddressFor = (daddr, family, mark) => paths.SourceTowards(daddr, family, mark);
        StartHostThread(_local, new ForwardingMirror(routes));
        if (_options.Direct)
        {
            _direct = new DirectPaths(_netns, BypassMark, _options.SendBuffer, _options.Steering.TableName, _logger);
        }
        _steering = NetfilterSteering.Start(_netns, _space.Spd, _options.Steering, _logger);
        if (_direct is not null)
        {
            _direct.HasOwnProgram = _steering.Redirects;
        }
        _space.Observers.Add(_steering);
        _space.Statistics.Beneath = ReadSteeringCounters;
        _space.Drops.SetBeneath(_steering.OpenDrops);
        _steering.DeviceAdded = AddDevice;
        _steering.DeviceRemoved = RemoveDevice;
        foreach (SteeringDevice device in _steering.Devices)
        {
            AddDevice(device);
        }
        StartInbound();
        if (_space.Sad.All.Any(sa => sa.NatKeepaliveInterval != 0))
        {
            SendKeepalives();
        }
        foreach (SecurityAssociation sa in _space.Sad.All.Where(sa => sa.IsInternalTunnel))
        {
            ReceivePlainTunnels(sa.Family);
        }
        _logger.Started(_space.Inode, _devices[0].Tun.Name, _ports!.Count);
    }

    /// <summary>What this host and its paths are, as it changes: addresses, and what routers say of our packets.</summary>
    private void StartHostThread(LocalAddresses local, ForwardingMirror forwarding)
    {
        List<TooBigPort> errors = NetworkNamespace.Run(_netns, () =>
        {
            List<TooBigPort> opened = [new(PacketSockets.OpenTooBigReceiver(AddressFamily.Inet), AddressFamily.Inet)];
            if (HasIpv6)
            {
                opened.Add(new(PacketSockets.OpenTooBigReceiver(AddressFamily.Inet6), AddressFamily.Inet6));
            }
            return opened;
        });
        _resources.AddRange(errors);
        ReadyWait? wait = null;
        AddWorker(new WorkerThread(
            "xfrmd-host",
            wake =>
            {
                wait ??= new ReadyWait([wake.Handle, local.Table.Changes, .. errors.Select(e => e.Socket)]);
                _ = wait.Wait();
                errors.ForEach(e => e.Receive(_learnedMtus));
                if (local.Table.TakeChanges())
                {
                    local.Refresh();
                    SteeringDevice[] devices = _devices;
                    _steering?.LinksChanged();
                    forwarding.Refresh(devices.FirstOrDefault(static d => d.IfId == 0)?.Tun.Ifindex ?? 0, [.. devices.Select(static d => d.Tun.Ifindex)]);
                }
            },
            () => { },
            _logger));
    }

    private void StartInbound()
    {
        InboundWorker? worker = null;
        InboundPorts? ports = null;
        WorkerThread thread = new("xfrmd-in-0", _ => ports!.Step(worker!), () => worker!.Dispose(), _logger);
        (OutboundTurn turn, WorkerThread outbound) = _ordinary;
        ports = _ports = new InboundPorts(thread.Wake.Handle, turn, () => outbound.Post(Nothing));
        worker = new InboundWorker(_space, new InboundHost(this, _local!), TunForInbound, worker: 0, Captures.AddTap(), _direct);
        TwiceFilter? filter = null;
        if (_direct is not null)
        {
            filter = new TwiceFilter();
            ports.Direct = _direct.View();
            _resources.Add(ports.Direct);
            _direct.Attach(new DirectReceiver(thread, ports, worker, filter));
        }
        foreach (RawArrivalPort port in NetworkNamespace.Run(_netns, () => OpenReceivers(filter)))
        {
            _resources.Add(port);
            ports.Add(port.Socket, port);
        }
        _inboundSweep = worker.Sweep;
        _inboundForget = worker.Forget;
        _inboundThread = thread;
        AddWorker(thread);
    }

    private List<RawArrivalPort> OpenReceivers(TwiceFilter? filter)
    {
        List<RawArrivalPort> ports = [];
        foreach (byte protocol in Protocols)
        {
            TwiceFilter? ofEsp = protocol == IpProtocol.Esp ? filter : null;
            ports.Add(new(PacketSockets.OpenRawReceiver(AddressFamily.Inet, protocol, BypassMark, _options.ReceiveBuffer), AddressFamily.Inet, protocol, ofEsp));
            if (HasIpv6)
            {
                ports.Add(new(PacketSockets.OpenRawReceiver(AddressFamily.Inet6, protocol, BypassMark, _options.ReceiveBuffer), AddressFamily.Inet6, protocol, ofEsp));
            }
        }
        return ports;
    }

    private static bool HasIpv6 => File.Exists("/proc/net/if_inet6");

    /// <summary>In the namespace.</summary>
    private (SafeFileHandle V4, SafeFileHandle? V6) OpenRawSenders(int sendBuffer) => (
        PacketSockets.OpenRawSender(AddressFamily.Inet, BypassMark, sendBuffer),
        HasIpv6 ? PacketSockets.OpenRawSender(AddressFamily.Inet6, BypassMark, sendBuffer) : null);

    /// <summary>What one outbound worker sends by, opened in the namespace.</summary>
    private sealed record OutboundSockets(SafeFileHandle V4, SafeFileHandle? V6, RouteQuery Query, DirectSender? Direct, HostPort Host) : IDisposable
    {
        public void Dispose()
        {
            Query.Dispose();
            V4.Dispose();
            V6?.Dispose();
            Direct?.Dispose();
            Host.Dispose();
        }
    }

    private OutboundSockets OpenOutboundSockets() => NetworkNamespace.Run(_netns, () =>
    {
        (SafeFileHandle v4, SafeFileHandle? v6) = OpenRawSenders(_options.SendBuffer);
        DirectSender? direct = _direct is null ? null : new(PacketSockets.OpenLinkSender(BypassMark, _options.SendBuffer), _direct);
        HostPort host = new(PacketSockets.OpenOwnSender(AddressFamily.Inet), HasIpv6 ? PacketSockets.OpenOwnSender(AddressFamily.Inet6) : null);
        return new OutboundSockets(v4, v6, new RouteQuery(), direct, host);
    });

    private TunPort TunForInbound(uint ifId)
    {
        SteeringDevice device = Array.Find(_devices, d => d.IfId == ifId) ?? _devices[0];
        return new TunPort(new TunQueue(device.Tun.Queues[0]), device.Marker);
    }

    private void AddDevice(SteeringDevice device)
    {
        TunQueue queue = new(device.Tun.Queues[0]);
        OutboundSockets sockets = OpenOutboundSockets();
        int number = _devices.Length + 1;
        DeviceTraits traits = new(device.Mark.V, device.OutputInterface, device.IfId, device.Mark.M, device.Sockets);
        CaptureTap tap = Captures.AddTap();
        RoutePaths paths = new(sockets.Query, BypassMark, _echoes, _learnedMtus, _local!);
        WirePort wire = new(sockets.V4, sockets.V6, _udpSockets, _options.Steering.Marks, tap, sockets.Direct);
        OutboundWorker worker = new(_space, new TunPort(queue, device.Marker), wire, paths, _identifiers, traits, number, tap, sockets.Host);
        // The first device is the ordinary one. The inbound worker joins in with that alone: another (of an if_id, or of a policy's mark) has a worker of its own.
        bool ordinary = _devices.Length == 0;
        OutboundTurn turn = new(worker, queue.Handle, mayJoin: ordinary);
        ReadyWait? wait = null, parked = null;
        ShortSleep? pause = null;
        ArrivalRate rate = new();
        bool gone = false;
        WorkerThread thread = new(
            $"xfrmd-out-{number - 1}",
            wake =>
            {
                if (!turn.IsApart)
                {
                    parked ??= new ReadyWait(wake.Handle);
                    _ = parked.Wait();
                    return;
                }
                int reads = turn.RunOnce();
                rate.Add(reads);
                if (turn.Judge())
                {
                    _inboundThread?.Post(Nothing);
                }
                else if (reads == 0 && rate.IsBusy)
                {
                    pause ??= new ShortSleep(wake.Handle);
                    pause.Sleep(rate.PauseMicroseconds);
                }
                else if (reads == 0)
                {
                    wait ??= new ReadyWait(queue.Handle, wake.Handle);
                    _ = wait.Wait(worker.WaitMilliseconds);
                    if (worker.IsDeviceGone && !gone)
                    {
                        gone = true;
                        wait = new ReadyWait(wake.Handle);
                        DeviceVanished(device);
                    }
                }
            },
            () => turn.Close(sockets.Dispose),
            _logger);
        if (ordinary)
        {
            _ordinary = (turn, thread);
        }
        _devices = [.. _devices, device];
        _outboundSweeps = _outboundSweeps.Add(thread, turn.Sweep);
        _outboundThreads[device] = thread;
        AddWorker(thread);
    }

    /// <summary>What nf_tables dropped before a worker could have seen it.</summary>
    private IReadOnlyDictionary<XfrmCounter, long> ReadSteeringCounters()
    {
        try
        {
            return _steering?.ReadCounters() ?? ReadOnlyDictionary<XfrmCounter, long>.Empty;
        }
        catch (Exception e) when (e is LinuxException or ObjectDisposedException)
        {
            return ReadOnlyDictionary<XfrmCounter, long>.Empty;
        }
    }

    private void AddWorker(WorkerThread thread)
    {
        lock (_workersGate)
        {
            _workers = [.. _workers, thread];
        }
        thread.Start();
    }

    private void Stop()
    {
        _direct?.Quiesce();
        foreach (WorkerThread thread in _workers)
        {
            thread.Dispose();
        }
        _workers = [];
        (_space.SendKeepalive, _sendsKeepalives) = (Unsent, false);
        (_inboundThread, _ports, _inboundSweep, _inboundForget, _ordinary) = (null, null, null, null, default);
        (_query, _paths, _local) = (null, null, null);
        _space.SourceAddressFor = static (_, _, _) => null;
        _watchesPort = false;
        _direct?.Dispose();
        _direct = null;
        _plainTunnels.Clear();
        ReleaseAllPorts();
        if (_steering is { } steering)
        {
            _space.Observers.Remove(steering);
            _space.Drops.SetBeneath(null);
            _space.Statistics.KeepBeneath();
            steering.Dispose();
            _steering = null;
        }
        foreach (IDisposable resource in _resources)
        {
            resource.Dispose();
        }
        _resources.Clear();
        _socketsAsked = null;
        _socketClasses = [];
        _covered.Clear();
        _devices = [];
        _outboundThreads.Clear();
        (_outboundSweeps, _sweeping) = (_outboundSweeps.Clear(), false);
    }
}
