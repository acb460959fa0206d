using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Cli.Control;
using Xfrmd.Datapath.Capture;
using Xfrmd.Datapath.Engine;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Cli.Serve;

/// <summary>
/// All that serves one network namespace. The databases are there at once; what touches the namespace itself (devices, rules, sockets) comes
/// with the first policy, SA or socket that asks for it, so that a program that only looks leaves no trace. Everything under the gate.
/// </summary>
internal sealed class NamespaceServices : INamespaceView, IDatabaseObserver, IDisposable
{
    private readonly SafeFileHandle _netns;
    private readonly NamespaceDatapath _datapath;
    private readonly NamespaceNumbers _numbers;
    private readonly Dictionary<ulong, BoundUdpSocket> _bypassing = [];

    // Sockets that were given their policy before their port, as OpenIKED does it.
    private readonly HashSet<ulong> _bypassingUnbound = [];

    // Sockets with policies that were seen open. Of another one (of a process that we cannot see) nobody can say that it is closed.
    private readonly HashSet<ulong> _seenOpen = [];

    // Opened once: it takes a thread that enters the namespace, and each SA asks.
    private readonly SafeFileHandle _noPmtuDiscovery;

    /// <param name="inode">The number in <c>net:[N]</c>.</param>
    /// <param name="netns">The namespace; owned from here on.</param>
    /// <param name="time">The SA clock.</param>
    /// <param name="logging">Makes the loggers.</param>
    /// <param name="options">How packets are carried.</param>
    /// <param name="handleOf">Another namespace itself; null: it has ended.</param>
    public NamespaceServices(
        ulong inode, SafeFileHandle netns, TimeProvider time, ILoggerFactory logging, DatapathOptions options, Func<XfrmNamespace, SafeFileHandle?> handleOf)
    {
        _netns = netns;
        _numbers = new NamespaceNumbers(netns);
        _noPmtuDiscovery = OpenNoPmtuDiscovery(netns);
        Space = new XfrmNamespace(inode, time) { HasInterface = HasInterface, ClosedSockets = ClosedSockets, NoPmtuDiscovery = NoPmtuDiscovery, NumberOf = other => _numbers.Of(handleOf(other)) };
        _datapath = new NamespaceDatapath(Space, NetworkNamespace.Duplicate(netns), options, logging.CreateLogger("Xfrmd.Datapath"));
        Space.Observers.Add(_datapath);
        Space.Observers.Add(this);
        int leftovers = NetfilterSteering.RemoveLeftovers(netns, options.Steering);
        if (leftovers > 0)
        {
            logging.CreateLogger("Xfrmd.Namespace").LeftoversRemoved(inode, leftovers);
        }
    }

    public XfrmNamespace Space { get; }

    /// <summary>The namespace itself.</summary>
    public SafeFileHandle Handle => _netns;

    public IReadOnlyList<string> Devices => [.. _datapath.Steering?.Devices.Select(d => d.Tun.Name) ?? []];

    public IReadOnlyList<string> RawEspPaths => _datapath.Direct?.Describe() ?? [];

    public CaptureHub Captures => _datapath.Captures;

    public ISteering? Steering => _datapath.Steering;

    public IReadOnlyCollection<BypassPort> BypassPorts
    {
        get
        {
            lock (Space.Gate)
            {
                return [.. _bypassing.Values.Select(s => new BypassPort(s.Family, s.Port)).Distinct()];
            }
        }
    }

    public int? PathMtu(in XfrmAddress daddr, ushort family) => _datapath.PathMtu(daddr, family);

    public bool SharesUdpPort(in XfrmAddress saddr, ushort family, ushort port) => _datapath.SharesUdpPort(saddr, family, port);

    /// <summary>UDP_ENCAP was set on a socket: from now on the ESP that comes to its port is ours.</summary>
    /// <param name="socket">A duplicate, owned from here on; null where none could be had.</param>
    /// <param name="socketInode">Its number.</param>
    /// <param name="enabled">False: it was cleared.</param>
    public void SetUdpEncap(SafeFileHandle? socket, ulong socketInode, bool enabled)
    {
        if (enabled)
        {
            _datapath.ShareUdpPort(socket, socketInode);
            return;
        }
        socket?.Dispose();
        _datapath.ReleaseUdpPort(socketInode);
    }

    /// <summary>A program asks for an interface of kind xfrm: see <see cref="ISocketHooks.CreateLink"/>.</summary>
    public Errno CreateLink(string name, uint ifId, out int ifindex) => _datapath.CreateLink(name, ifId, out ifindex);

    /// <summary>A program deletes an interface: see <see cref="ISocketHooks.DeleteLink"/>.</summary>
    public bool DeleteLink(int ifindex, string name) => _datapath.DeleteLink(ifindex, name);

    /// <summary>A program has ended: the ports that it held are covered again, and free.</summary>
    public void ForgetClosedSockets()
    {
        _datapath.ReleaseOrphanedPorts();
        WriteBypassPorts(UdpSocketTable.Read(_netns));
    }

    /// <summary>A program is about to bind a socket: ports that the dead held are free, and where the socket passes by every policy, its port does.</summary>
    public void BeforeBind(BoundUdpSocket socket)
    {
        ForgetClosedSockets();
        if (socket.Port != 0 && _bypassingUnbound.Remove(socket.Inode) && _datapath.TryStart())
        {
            // Where the bind fails, the next look at the namespace's sockets forgets it.
            _bypassing[socket.Inode] = socket;
            WriteBypassPorts();
        }
    }

    /// <summary>A socket is about to get policies of its own: see <see cref="NamespaceDatapath.CoverSocket"/>.</summary>
    public Errno CoverSocket(SafeFileHandle socket, ulong inode, Policy? inbound, Policy? outbound) => _datapath.CoverSocket(socket, inode, inbound, outbound);

    /// <summary>See <see cref="NamespaceDatapath.SetSocketMark"/>.</summary>
    public Errno SetSocketMark(SafeFileHandle socket, ulong inode, uint mark) => _datapath.SetSocketMark(socket, inode, mark);

    /// <summary>What an IKE daemon asks for its own socket: all that it sends and receives passes by every policy.</summary>
    public void SocketPolicyChanged(ulong socketInode, Policy? inbound, Policy? outbound)
    {
        IReadOnlyList<BoundUdpSocket> bound = UdpSocketTable.Read(_netns);
        if (outbound is not { LetsAllPass: true })
        {
            _bypassing.Remove(socketInode);
            _bypassingUnbound.Remove(socketInode);
        }
        else if (bound.FirstOrDefault(s => s.Inode == socketInode) is not { Port: not 0 } socket)
        {
            _bypassingUnbound.Add(socketInode);
        }
        else if (_datapath.TryStart())
        {
            _bypassing[socketInode] = socket;
        }
        WriteBypassPorts(bound);
        if (inbound is null && outbound is null)
        {
            _seenOpen.Remove(socketInode);
        }
        else if (!_seenOpen.Contains(socketInode))
        {
            _seenOpen.UnionWith(OpenSockets.Among([socketInode]));
        }
    }

    public void PolicyInserted(Policy policy, Policy? replaced)
    {
        // The datapath is an observer of its own.
    }

    public void PoliciesRemoved(IReadOnlyList<Policy> policies)
    {
    }

    public void DefaultPolicyChanged()
    {
    }

    public void SaInserted(SecurityAssociation sa)
    {
    }

    public void SasRemoved(IReadOnlyList<SecurityAssociation> sas)
    {
    }

    public void Dispose()
    {
        lock (Space.Gate)
        {
            _datapath.Dispose();
        }
        Space.Dispose();
        _numbers.Dispose();
        _noPmtuDiscovery.Dispose();
        _netns.Dispose();
    }

    private HashSet<ulong> ClosedSockets(IReadOnlyCollection<ulong> sockets)
    {
        HashSet<ulong> closed = [.. sockets.Where(_seenOpen.Contains)];
        closed.ExceptWith(OpenSockets.Among([.. closed]));
        return closed;
    }

    private bool NoPmtuDiscovery()
    {
        Span<byte> value = stackalloc byte[1];
        return ProcFile.ReadAgain(_noPmtuDiscovery, value) == 1 && value[0] != (byte)'0';
    }

    private static SafeFileHandle OpenNoPmtuDiscovery(SafeFileHandle netns)
    {
        const string path = "/proc/sys/net/ipv4/ip_no_pmtu_disc", none = "/dev/null";
        try
        {
            return NetworkNamespace.Run(netns, static () => ProcFile.TryOpen(path) ?? ProcFile.TryOpen(none)!);
        }
        catch (LinuxException)
        {
            return ProcFile.TryOpen(none)!;   // a namespace that we may not enter
        }
    }

    private bool HasInterface(int index) => NetworkNamespace.Run(
        _netns,
        () =>
        {
            using RouteClient routes = new();
            return routes.HasLink(index);
        });

    private void WriteBypassPorts(IReadOnlyList<BoundUdpSocket> bound)
    {
        foreach (ulong inode in _bypassing.Keys.Except(bound.Select(s => s.Inode)).ToArray())
        {
            _bypassing.Remove(inode);
        }
        WriteBypassPorts();
    }

    private void WriteBypassPorts() => _datapath.Steering?.SetBypassPorts(BypassPorts);
}
