using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Datapath.Engine;

// Sockets with policies of their own.
public sealed partial class NamespaceDatapath
{
    private readonly Dictionary<ulong, CoveredSocket> _covered = [];
    private volatile SocketClass[] _socketClasses = [];
    private volatile SocketDiagnostics? _socketsAsked;

    /// <summary>
    /// A socket has these policies of its own from now on. A bound one of UDP that passes by all policies, as IKE daemons have it, needs nothing here:
    /// that is <see cref="ISteering.SetBypassPorts"/>. Under the namespace's gate, before the SPD has them.
    /// </summary>
    /// <param name="socket">The socket; stays the caller's.</param>
    /// <param name="inode">Its number.</param>
    /// <param name="inbound">For what comes; null: none.</param>
    /// <param name="outbound">For what it sends; null: none.</param>
    /// <returns>ENOBUFS: there are too many different ones.</returns>
    public Errno CoverSocket(SafeFileHandle socket, ulong inode, Policy? inbound, Policy? outbound)
    {
        uint mark = PacketSockets.Mark(socket) & ~_options.Steering.Marks.Owned;
        bool passes = inbound is null or { LetsAllPass: true } && outbound is null or { LetsAllPass: true };
        if ((inbound ?? outbound) is null || (passes && SocketOptions.Protocol(socket) == IpProtocol.Udp && PacketSockets.LocalPort(socket) != 0) || !TryStart())
        {
            if (_covered.ContainsKey(inode))
            {
                SetMark(socket, mark);
                ReleaseSocket(inode);
            }
            return Errno.None;
        }
        SocketClass? sockets = Array.Find(_socketClasses, c => c.Mark == mark && Policy.AreAlike(c.Inbound, inbound) && Policy.AreAlike(c.Outbound, outbound)) ?? FreeSocketClass();
        if (sockets is null)
        {
            return passes ? Errno.None : Errno.ENOBUFS;
        }
        if (inbound is not null)
        {
            _socketsAsked ??= OpenSocketDiagnostics(kept: true);
        }
        ReleaseSocket(inode);
        _covered.Add(inode, new CoveredSocket(sockets, inbound, outbound));
        _steering!.SetSocketClass(sockets, inbound, outbound, mark);
        SetMark(socket, mark | _options.Steering.Marks.Class(sockets.Number));
        return Errno.None;
    }

    /// <summary>
    /// A program sets SO_MARK of a socket that has our bits: it keeps them, or gets those of the class with the new mark. Under the namespace's gate.
    /// </summary>
    public Errno SetSocketMark(SafeFileHandle socket, ulong inode, uint mark)
    {
        uint owned = _options.Steering.Marks.Owned;
        if (!PacketSockets.TrySetMark(socket, (mark & ~owned) | (PacketSockets.Mark(socket) & owned)))
        {
            return Errno.EPERM;
        }
        if (!_covered.TryGetValue(inode, out CoveredSocket? covered))
        {
            return Errno.None;   // a connection that such a socket has accepted
        }
        Errno errno = CoverSocket(socket, inode, covered.Inbound, covered.Outbound);
        _space.BumpGeneration();
        return errno;
    }

    /// <summary>The policies of the others of its class stand for all; where it was the last, its own stay for the connections that it accepted.</summary>
    private void ReleaseSocket(ulong inode)
    {
        if (_covered.Remove(inode, out CoveredSocket? gone) && _covered.Values.FirstOrDefault(s => s.Class == gone.Class) is { } other)
        {
            _steering?.SetSocketClass(other.Class, other.Inbound, other.Outbound, other.Class.Mark);
        }
    }

    /// <summary>One that no socket has any more, or a new one.</summary>
    private SocketClass? FreeSocketClass()
    {
        _space.Spd.ForgetClosedSockets();
        SocketClass[] left = [.. _socketClasses.Except(_covered.Values.Select(static s => s.Class))];
        if (left.Length > 0)
        {
            using SocketDiagnostics sockets = OpenSocketDiagnostics(kept: false);
            if (sockets.TcpMarks() is { } marks)
            {
                uint owned = _options.Steering.Marks.Owned;
                HashSet<uint> used = [.. marks.Select(mark => mark & owned)];
                if (Array.Find(left, c => !used.Contains(_options.Steering.Marks.Class(c.Number))) is { } free)
                {
                    return free;
                }
            }
        }
        if (_steering!.AddSocketClass() is not { } added)
        {
            return null;
        }
        _socketClasses = [.. _socketClasses, added];
        return added;
    }

    private SocketDiagnostics OpenSocketDiagnostics(bool kept)
    {
        SocketDiagnostics opened = NetworkNamespace.Run(_netns, static () => new SocketDiagnostics());
        if (kept)
        {
            _resources.Add(opened);
        }
        return opened;
    }

    private void SetMark(SafeFileHandle socket, uint mark)
    {
        if (!PacketSockets.TrySetMark(socket, mark))
        {
            _logger.CannotMark();
        }
    }

    /// <summary>See <see cref="IInboundHost.SocketPolicy"/>; the inbound thread's.</summary>
    private Policy? PolicyOfReceiver(in Flow flow)
    {
        if (_socketsAsked is not { } sockets || !Array.Exists(_socketClasses, static c => c.Inbound is not null))
        {
            return null;
        }
        int length = flow.Family == AddressFamily.Inet ? 4 : 16;
        if (sockets.MarkOf(flow.Proto, flow.Saddr.Bytes[..length], flow.Sport, flow.Daddr.Bytes[..length], flow.Dport) is not { } mark)
        {
            return null;
        }
        SteeringMarks marks = _options.Steering.Marks;
        return Array.Find(_socketClasses, c => marks.Class(c.Number) == (mark & marks.Owned))?.Inbound;
    }

    private sealed record CoveredSocket(SocketClass Class, Policy? Inbound, Policy? Outbound);

    private sealed class InboundHost(NamespaceDatapath datapath, LocalAddresses addresses) : IInboundHost
    {
        public bool IsLocal(in XfrmAddress daddr, ushort family) => addresses.IsLocal(daddr, family);

        public bool HasBecomeLocal(in XfrmAddress daddr, ushort family) => addresses.HasBecomeLocal(daddr, family);

        public bool HasInterface(uint ifId) => Array.Exists(datapath._devices, d => d.IfId == ifId);

        public bool ChecksEachTunnel => Array.Exists(datapath._devices, static d => d.IfId != 0);

        public bool HasTunnelDevice(ushort outerFamily, ushort innerFamily) => addresses.HasTunnelDevice(outerFamily, innerFamily);

        public Policy? SocketPolicy(in Flow flow) => datapath.PolicyOfReceiver(flow);
    }
}
