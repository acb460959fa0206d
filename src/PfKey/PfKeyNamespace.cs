using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey;

/// <summary>PF_KEY in one network namespace: its sockets and who of them hears what (<c>struct netns_pfkey</c>). Use under <see cref="XfrmNamespace.Gate"/>.</summary>
internal sealed class PfKeyNamespace
{
    // sk_add_node_rcu: newest first.
    private readonly LinkedList<PfKeySocket> _sockets = new();

    public PfKeyNamespace(XfrmNamespace space, ReqidGenerator reqids)
    {
        Space = space;
        Reqids = reqids;
        Handler = new PfKeyHandler(this);
        space.KeyManagers.Register(new PfKeyKeyManager(this));
    }

    public XfrmNamespace Space { get; }

    public ReqidGenerator Reqids { get; }

    public PfKeyHandler Handler { get; }

    public bool HasSockets => _sockets.Count != 0;

    /// <summary><c>pfkey_is_alive</c>.</summary>
    public bool HasRegistered
    {
        get
        {
            foreach (PfKeySocket socket in _sockets)
            {
                if (socket.IsRegistered && !socket.IsClosed)
                {
                    return true;
                }
            }
            return false;
        }
    }

    public void Add(PfKeySocket socket) => _sockets.AddFirst(socket);

    public void Remove(PfKeySocket socket) => _sockets.Remove(socket);

    /// <summary><c>BROADCAST_ALL</c>.</summary>
    public void SendToAll(ReadOnlySpan<byte> message)
    {
        if (IsLost(message))
        {
            return;
        }
        foreach (PfKeySocket socket in _sockets)
        {
            CopyToPromiscuous(socket, message);
            socket.Receive(message);
        }
    }

    /// <summary><c>BROADCAST_REGISTERED</c>: whoever registered for any type of SA, and one more in any case. True where one got it.</summary>
    public bool SendToRegistered(ReadOnlySpan<byte> message, PfKeySocket? one = null)
    {
        if (one is null && IsLost(message))
        {
            return HasRegistered;
        }
        bool heard = false;
        foreach (PfKeySocket socket in _sockets)
        {
            CopyToPromiscuous(socket, message);
            if (socket.IsRegistered && socket != one)
            {
                heard |= socket.Receive(message);
            }
        }
        return one is null ? heard : one.Receive(message);
    }

    /// <summary><c>BROADCAST_ONE</c>. False, and told to nobody, where the socket's queue is full.</summary>
    public bool SendToOne(PfKeySocket one, ReadOnlySpan<byte> message)
    {
        if (!one.Receive(message))
        {
            return false;
        }
        SendToPromiscuous(message);
        return true;
    }

    /// <summary><c>BROADCAST_PROMISC_ONLY</c>.</summary>
    public void SendToPromiscuous(ReadOnlySpan<byte> message)
    {
        foreach (PfKeySocket socket in _sockets)
        {
            CopyToPromiscuous(socket, message);
        }
    }

    private bool IsLost(ReadOnlySpan<byte> message) =>
        !Space.Faults.IsEmpty && MemoryMarshal.TryRead(message, out SadbMsg header) && Space.Faults.Find(new FaultSubject(IsPfKey: true, IsEvent: true, (ushort)header.Type)) is not null;

    // A promiscuous socket gets this copy beside the one that is meant for it.
    private static void CopyToPromiscuous(PfKeySocket socket, ReadOnlySpan<byte> message)
    {
        if (socket.IsPromiscuous)
        {
            socket.Receive(message);
        }
    }
}
