using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>The daemon's side: listens on the control socket and serves each program that attaches on a thread of its own.</summary>
public sealed class AttachServer : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private readonly AttachContext _context;
    private readonly string _path;
    private readonly SafeFileHandle _listener;
    private readonly Thread _accepting;
    private readonly ILogger _log;

    private AttachServer(AttachContext context, string path, SafeFileHandle listener)
    {
        _context = context;
        _path = path;
        _listener = listener;
        _log = context.Log;
        _accepting = new Thread(AcceptAll) { Name = "attach-control", IsBackground = true };
        _accepting.Start();
    }

    /// <summary>Starts to serve. A socket file that a dead daemon left is replaced.</summary>
    /// <exception cref="LinuxException">The path cannot be bound; EADDRINUSE: another daemon serves there.</exception>
    public static AttachServer Start(
        string path, ProtocolFamilies families, ISocketHooks hooks, INamespaceProvider namespaces, ILogger log)
    {
        if (Encoding.UTF8.GetByteCount(path) > SeqpacketSocket.MaxPathLength)
        {
            throw new LinuxException(36 /* ENAMETOOLONG */, path);
        }
        int errno = SeqpacketSocket.TryListen(path, out SafeFileHandle? listener);
        if (errno == (int)Errno.EADDRINUSE && SeqpacketSocket.TryConnect(path, out SafeFileHandle? other) is var answer)
        {
            other?.Dispose();
            if (answer == (int)Errno.ECONNREFUSED)
            {
                File.Delete(path);
                errno = SeqpacketSocket.TryListen(path, out listener);
            }
        }
        if (listener is null)
        {
            throw new LinuxException(errno, path);
        }
        NamespaceTracker tracker = new(namespaces);
        SafeFileHandle home = ProcFile.TryOpen("/proc/self/ns/net") ?? throw new LinuxException((int)Errno.ENOENT, "/proc/self/ns/net");
        ulong inode = ProcFile.ReadInode("/proc/self/ns/net", "net"u8, out _);
        PairPool pairs = new();
        AttachContext context = new(families, hooks, tracker, new SocketTable(tracker, pairs, log), pairs, new Truesizes(), home, inode, log);
        log.Listening(path);
        return new AttachServer(context, path, listener);
    }

    /// <summary>Emulated sockets that programs hold now.</summary>
    public int OpenSockets => _context.Sockets.Count;

    /// <summary>
    /// Takes no more programs and releases all sockets. Attached programs that still run get errors from here on; the listeners of their
    /// filters end with this process.
    /// </summary>
    public void Dispose()
    {
        SeqpacketSocket.Shutdown(_listener);
        _accepting.Join();
        _listener.Dispose();
        File.Delete(_path);
        _context.Sockets.Dispose();
        _context.Pairs.Dispose();
        _context.Writers.Dispose();
        _context.Truesizes.Dispose();
        _context.SendBufferLimit.Dispose();
        _context.ReceiveBufferLimit.Dispose();
        _context.HomeNamespace.Dispose();
    }

    private void AcceptAll()
    {
        while (SeqpacketSocket.Accept(_listener) is { } connection)
        {
            new Thread(() => Serve(connection)) { Name = "attach-session", IsBackground = true }.Start();
        }
    }

    private void Serve(SafeFileHandle connection)
    {
        PeerCredentials peer = default;
        try
        {
            peer = SeqpacketSocket.GetPeerCredentials(connection);
            SocketOptions.SetReceiveTimeout(connection, Patience);
            using Session? session = Greet(connection, peer);
            connection.Dispose();
            if (session is not null)
            {
                session.Run();
                _log.Ended(peer.ProcessId);
            }
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            _log.SessionFailed(failure, peer.ProcessId);
        }
        finally
        {
            connection.Dispose();
        }
    }

    /// <summary>The two steps of <see cref="ControlProtocol"/>; null where the client was refused or went away.</summary>
    private Session? Greet(SafeFileHandle connection, PeerCredentials peer)
    {
        Span<byte> message = stackalloc byte[ControlProtocol.HelloSize];
        int length = SeqpacketSocket.ReceiveMessage(connection, message, out SafeFileHandle? unexpected);
        unexpected?.Dispose();
        if (length <= 0)
        {
            return null;
        }
        string? refusal = ControlProtocol.TryReadHello(message[..Math.Min(length, message.Length)], out ReservedRange range)
            ? Refuse(peer)
            : "it speaks another version of the control protocol: use the xfrmd of the daemon";
        if (refusal is not null)
        {
            _log.Refused(peer.ProcessId, peer.UserId, refusal);
        }
        bool unseen = !PidFd.MayDuplicate(peer.ProcessId);
        string accepted = unseen ? ControlProtocol.AcceptedUnseen : ControlProtocol.Accepted;
        if (SeqpacketSocket.SendMessage(connection, Encoding.UTF8.GetBytes(refusal ?? accepted)) != 0 || refusal is not null)
        {
            return null;
        }
        length = SeqpacketSocket.ReceiveMessage(connection, message, out SafeFileHandle? listener);
        if (length <= 0 || listener is null)
        {
            listener?.Dispose();
            return null;   // it found that it cannot install the filter, and said so itself
        }
        bool waitKillable = message[0] != 0;
        _log.Attached(peer.ProcessId);
        if (!waitKillable)
        {
            _log.NotKillable(peer.ProcessId);
        }
        _ = SeqpacketSocket.SendMessage(connection, Encoding.UTF8.GetBytes(ControlProtocol.Accepted));
        return new Session(_context, new SeccompListener(listener), range, unseen, waitKillable, peer.ProcessId);
    }

    private static string? Refuse(PeerCredentials peer)
    {
        if (peer.UserId != 0 && peer.UserId != ProgramImage.EffectiveUserId)
        {
            return "only root and the daemon's own user may attach programs";
        }
        if (peer.ProcessId == 0)
        {
            return "the daemon cannot see this process: start it in the same PID namespace, or in an outer one";
        }
        using SafeFileHandle? probe = ProcFile.TryOpen($"/proc/{peer.ProcessId}/ns/net");
        return probe is null ? "the daemon may not look into this process: run the daemon as root, or as this user" : null;
    }
}
