using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Engine;
using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Routing;

namespace Xfrmd.Datapath.Direct;

/// <summary>
/// Finds out which packets may pass by the kernel's routing and netfilter because nobody could tell the difference, and finds out anew when
/// anything changes. A thread of its own; workers read what it publishes (<see cref="DirectView"/>). Whatever is in doubt goes through raw
/// sockets. Files: DirectPaths.cs what leaves, DirectPaths.Inbound.cs what arrives.
/// </summary>
public sealed partial class DirectPaths : IDisposable
{
    private const int MaxDestinations = 1024, LookMilliseconds = 1000;
    private static readonly TimeProvider Time = TimeProvider.System;
    private readonly SafeFileHandle _netns;
    private readonly uint _mark;
    private readonly int _sendBuffer;
    private readonly string[] _tables;
    private readonly ILogger _logger;
    private readonly NetworkSurvey _survey;
    private readonly NetworkWatch _watch;
    private readonly WorkerThread _thread;
    private readonly ConcurrentDictionary<OuterAddress, string> _wanted = new();
    private readonly ConcurrentQueue<(DirectSender Sender, int Ifindex)> _frameWants = new();
    private readonly HashSet<int> _frameLinks = [];
    private volatile DirectSnapshot _snapshot = DirectSnapshot.Nothing;
    private readonly Lock _looking = new();
    private int _changes;
    private bool _isQuiet;

    /// <param name="netns">The network namespace; stays the caller's and open for as long as this lives.</param>
    /// <param name="mark">The mark of protected packets.</param>
    /// <param name="sendBuffer">Bytes of protected packets that may be on their way to a link.</param>
    /// <param name="table">The netfilter table of ours.</param>
    /// <param name="logger">Where it is told.</param>
    public DirectPaths(SafeFileHandle netns, uint mark, int sendBuffer, string table, ILogger logger)
    {
        (_netns, _mark, _sendBuffer, _tables, _logger) = (netns, mark, sendBuffer, [table, table + "-direct"], logger);
        (_survey, _watch) = NetworkNamespace.Run(netns, () => (new NetworkSurvey(), new NetworkWatch()));
        ReadyWait? wait = null;
        _thread = new WorkerThread(
            "xfrmd-direct",
            wake =>
            {
                wait ??= new ReadyWait(wake.Handle, _watch.Changes);
                _ = wait.Wait(_wanted.IsEmpty && _pairs.IsEmpty && _rings.Count == 0 ? -1 : LookMilliseconds);
                wake.Reset();
                lock (_looking)
                {
                    if (!_isQuiet)
                    {
                        Look();
                    }
                }
            },
            () => { },
            logger);
        _thread.Start();
    }

    /// <summary>Whether a program of our own looks at what leaves by a link.</summary>
    public Func<int, bool> HasOwnProgram { get; set; } = static _ => false;

    /// <summary>What holds, unless something has changed since.</summary>
    public DirectSnapshot Snapshot => _snapshot;

    /// <summary>How raw ESP leaves and comes, a line each.</summary>
    public IReadOnlyList<string> Describe() =>
    [
        .. _wanted.Where(w => w.Value.Length > 0).Select(w => $"to {new IPAddress(w.Key.Bytes())}: {w.Value}"),
        .. _pairs.Where(p => p.Value.Length > 0).Select(p => $"from {new IPAddress(p.Key.Source.Bytes())} to {new IPAddress(p.Key.Destination.Bytes())}: {p.Value}"),
    ];

    /// <summary>One worker's view; to be made by any thread and used by one.</summary>
    public DirectView View() => new(this, NetworkNamespace.Run(_netns, () => new NetworkWatch()));

    /// <summary>Something has changed: what a snapshot must cover from now on to be believed.</summary>
    public int Invalidate()
    {
        int needed = Interlocked.Increment(ref _changes);
        _thread.Wake.Set();
        return needed;
    }

    /// <summary>Packets to this destination leave through the raw socket: see whether they must.</summary>
    public void Want(in OuterAddress destination)
    {
        if (_wanted.Count < MaxDestinations && _wanted.TryAdd(destination, ""))
        {
            Invalidate();
        }
    }

    /// <summary>Many packets of a worker leave by this link.</summary>
    internal void WantFrames(DirectSender sender, int ifindex)
    {
        _frameWants.Enqueue((sender, ifindex));
        _thread.Wake.Set();
    }

    /// <summary>Workers are about to end: nothing is asked of them any more. They may still ask.</summary>
    public void Quiesce()
    {
        lock (_looking)
        {
            _isQuiet = true;
        }
    }

    /// <summary>To be called when the workers have ended.</summary>
    public void Dispose()
    {
        _thread.Dispose();
        DisposeInbound();
        _survey.Dispose();
        _watch.Dispose();
    }

    private void Look()
    {
        DirectSnapshot before = _snapshot;
        _ = _watch.TakeChanges(before.Neighbours);
        int covers = Volatile.Read(ref _changes);
        if (_wanted.IsEmpty && _pairs.IsEmpty && _rings.Count == 0)
        {
            return;
        }
        uint generation = _watch.NetfilterGeneration();
        ForeignHooks hooks = generation == 0 ? ForeignHooks.Unknown : _survey.ReadHooks(_tables);
        int packetSockets = _watch.PacketSockets();
        List<(DirectSender Sender, int Ifindex)> wants = [];
        while (_frameWants.TryDequeue(out (DirectSender Sender, int Ifindex) want))
        {
            wants.Add(want);
            _frameLinks.Add(want.Ifindex);
        }
        (bool legacy, int[] frameLinks, int readers4, int readers6) = NetworkNamespace.Run(
            _netns, () => (NetworkSurvey.HasLegacyTables(), FrameLinks(hooks), NetworkSurvey.CountRawSockets(false, IpProtocol.Esp), NetworkSurvey.CountRawSockets(true, IpProtocol.Esp)));
        if (legacy)
        {
            hooks |= ForeignHooks.Input | ForeignHooks.Output;
        }
        Dictionary<OuterAddress, DirectRoute> routes = [];
        HashSet<NeighbourKey> neighbours = [];
        Dictionary<int, LinkFacts> links = _survey.ReadLinks();
        bool plain4 = _survey.HasPlainRules(ipv6: false), plain6 = _survey.HasPlainRules(ipv6: true);
        foreach ((OuterAddress destination, string how) in _wanted)
        {
            string? obstacle = (hooks & (ForeignHooks.Output | ForeignHooks.Unknown)) != 0 ? "others have netfilter rules on the way out"
                : !(destination.Family == AddressFamily.Inet ? plain4 : plain6) ? "a routing rule selects by more than addresses and marks"
                : TryRoute(destination, links, frameLinks, before, neighbours, routes);
            string said = obstacle ?? "";
            string now = said.Length > 0 ? "raw socket: " + said : routes[destination].TakesFrames ? "directly, past the link's queue (AF_XDP)" : "directly";
            if (now != how)
            {
                _wanted[destination] = now;
                Tell(destination, said);
            }
        }
        _snapshot = new DirectSnapshot(covers, generation, routes.Values.Any(static r => r.TakesFrames) ? packetSockets : -1, neighbours, routes);
        OfferFrames(wants, routes.Values);
        LookInbound(hooks, links, plain4, plain6, (readers4 > 1, readers6 > 1));
    }

    /// <summary>Adds the route of a destination; else says why there is none.</summary>
    private string? TryRoute(
        in OuterAddress destination, Dictionary<int, LinkFacts> links, int[] frameLinks, DirectSnapshot before, HashSet<NeighbourKey> neighbours, Dictionary<OuterAddress, DirectRoute> routes)
    {
        byte[] bytes = destination.Bytes();
        if (_survey.FindRoute(bytes, default, _mark) is not { IsUnicast: true } route)
        {
            return "no single unicast route";
        }
        if (!links.TryGetValue(route.Ifindex, out LinkFacts? link) || !link.IsEthernet)
        {
            return "its interface is no Ethernet that stands for itself";
        }
        NeighbourKey key = NeighbourKey.Of(route.Ifindex, route.Gateway.Length > 0 ? route.Gateway : bytes);
        neighbours.Add(key);
        if (_survey.FindNeighbour(key) is not { IsUsable: true, Station.Length: LinkAddress.StationLength } neighbour)
        {
            return "its neighbour is not known yet";
        }
        byte[] address = new byte[LinkAddress.Size];
        ushort protocol = destination.Family == AddressFamily.Inet ? LinkAddress.ProtocolIpv4 : LinkAddress.ProtocolIpv6;
        LinkAddress.Write(address, protocol, route.Ifindex, neighbour.Station);
        byte[] header = frameLinks.Contains(route.Ifindex) && link is { IsBareCable: true, Station.Length: LinkAddress.StationLength }
            ? [.. neighbour.Station, .. link.Station, (byte)(protocol >> 8), (byte)protocol]
            : [];
        routes[destination] = before.Routes.TryGetValue(destination, out DirectRoute? last) && last.Equals(address, header, link.Mtu, neighbour.IsDoubtful)
            ? last
            : new DirectRoute(address, header, route.Ifindex, link.Mtu, neighbour.IsDoubtful);
        return null;
    }

    /// <summary>Of the links by which many packets leave those where nobody would see that they pass by the link's queue.</summary>
    private int[] FrameLinks(ForeignHooks hooks) =>
        _frameLinks.Count == 0 || (hooks & (ForeignHooks.Egress | ForeignHooks.Unknown)) != 0 || NetworkSurvey.HasLinkReaders(OurLinkReaders())
            ? []
            : [.. _frameLinks.Where(ifindex => !NetworkSurvey.HasEgressPrograms(ifindex, HasOwnProgram(ifindex) ? 1 : 0))];

    private void OfferFrames(List<(DirectSender Sender, int Ifindex)> wants, IReadOnlyCollection<DirectRoute> routes)
    {
        foreach ((DirectSender sender, int ifindex) in wants.Where(w => routes.Any(r => r.Ifindex == w.Ifindex && r.TakesFrames)))
        {
            try
            {
                sender.Offer(NetworkNamespace.Run(_netns, () => new FrameSender(ifindex, _mark, _sendBuffer)));
            }
            catch (LinuxException e)
            {
                _logger.CannotSendFrames(e.Message);
            }
        }
    }

    private void Tell(in OuterAddress destination, string obstacle)
    {
        IPAddress shown = new(destination.Bytes());
        if (obstacle.Length > 0)
        {
            _logger.LeavesThroughRouting(shown, obstacle);
        }
        else
        {
            _logger.LeavesDirectly(shown);
        }
    }
}
