using System.Globalization;
using System.Net;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Datapath.Engine;

public sealed partial class NamespaceDatapath
{
    private const ushort NatTraversalPort = 4500;
    private static readonly TimeSpan ReleaseTimeout = TimeSpan.FromSeconds(2);
    private bool _watchesPort;

    /// <summary>
    /// A program turned UDP encapsulation on for a socket: from now on ESP on its port comes here. Under the namespace's gate.
    /// </summary>
    /// <param name="owner">A duplicate of its socket, or null where none could be had; owned.</param>
    /// <param name="ownerInode">The socket's inode.</param>
    public void ShareUdpPort(SafeFileHandle? owner, ulong ownerInode)
    {
        using (owner)
        {
            if (!TryStart() || _inboundThread is not { } thread)
            {
                return;
            }
            SafeFileHandle? socket = owner is null
                ? null
                : NetworkNamespace.Run(_netns, () => PacketSockets.TryShareUdpPort(owner, BypassMark, _options.ReceiveBuffer, _options.SendBuffer));
            if (socket is null)
            {
                WatchPort(thread, NatTraversalPort);
                return;
            }
            Span<byte> bound = stackalloc byte[SocketAddresses.MaxSize];
            bound = bound[..PacketSockets.LocalAddress(socket, bound)];
            SocketAddresses.TryRead(bound, out ReadOnlySpan<byte> address, out ushort port);
            ushort family = address.Length == 4 ? AddressFamily.Inet : AddressFamily.Inet6;
            UdpEncapSockets.Entry entry = new(address.ToArray(), port, socket, ownerInode);
            UdpArrivalPort arrivals = new(socket, family, port);
            _udpSockets.Add(entry);
            thread.Post(() => _ports!.Add(socket, arrivals));
            IPAddress shown = new(address);
            _logger.PortShared(shown, port);
        }
    }

    /// <summary>Lets go of the ports whose owner has closed its socket. Returns once others can bind them. Under the namespace's gate.</summary>
    public void ReleaseOrphanedPorts()
    {
        if (_udpSockets.Snapshot.IsEmpty)
        {
            return;
        }
        HashSet<ulong> alive = [.. UdpSocketTable.Read(_netns).Select(static s => s.Inode)];
        Release([.. _udpSockets.Snapshot.ToArray().Where(e => !alive.Contains(e.OwnerInode))]);
    }

    /// <summary>A program turned UDP encapsulation off again. Under the namespace's gate.</summary>
    public void ReleaseUdpPort(ulong ownerInode) => Release([.. _udpSockets.Snapshot.ToArray().Where(e => e.OwnerInode == ownerInode)]);

    private void ReleaseAllPorts() => Release(_udpSockets.Snapshot.ToArray());

    private void Release(UdpEncapSockets.Entry[] entries)
    {
        foreach (UdpEncapSockets.Entry entry in entries)
        {
            _udpSockets.Remove(entry);
            // Each worker has passed the end of a batch: none uses the socket any more.
            WorkerThread[] workers = _workers;
            using CountdownEvent passed = new(workers.Length + 1);
            foreach (WorkerThread worker in workers)
            {
                WorkerThread each = worker;
                each.Post(() =>
                {
                    if (each == _inboundThread)
                    {
                        _ports!.Remove(entry.Socket);
                    }
                    passed.Signal();
                });
            }
            passed.Signal();
            passed.Wait(ReleaseTimeout);
            entry.Socket.Dispose();
            _logger.PortReleased(entry.Port);
        }
    }

    /// <summary>Where the port cannot be shared its packets are seen by raw sockets, and sent by them.</summary>
    private void WatchPort(WorkerThread thread, ushort port)
    {
        if (_watchesPort)
        {
            return;
        }
        _watchesPort = true;
        List<RawArrivalPort> ports = NetworkNamespace.Run(_netns, () =>
        {
            List<RawArrivalPort> opened = [];
            foreach (ushort family in (ReadOnlySpan<ushort>)(HasIpv6 ? [AddressFamily.Inet, AddressFamily.Inet6] : [AddressFamily.Inet]))
            {
                opened.Add(new(PacketSockets.OpenRawUdpReceiver(family, port, BypassMark, _options.ReceiveBuffer), family, IpProtocol.Udp));
            }
            return opened;
        });
        AddPorts(thread, ports);
        _logger.PortWatched(port);
    }
}
