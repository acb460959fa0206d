using System.Buffers;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

// NETLINK_ROUTE sockets are the kernel's own, made here so that they live at reserved numbers and their sends are told: interfaces of kind
// xfrm, which the kernel beneath lacks or would join to its own XFRM, are ours, and are told as such. Everything else goes on in the kernel.
internal sealed partial class Session
{
    private const int MaxLinkAnswer = 1 << 16, MaxControl = 4096;

    private Answer MakeRouteSocket(in SeccompNotification call, int type)
    {
        using SafeFileHandle? network = OpenNamespace(call.ThreadId);
        SafeFileHandle? made = null;
        if (network is null || !TryRunIn(network, () => made = RouteSocket.TryOpen(type)) || made is null)
        {
            return Answer.Continue;
        }
        using (made)
        {
            Answer answer = Inject(call, made, _range.Low, (type & SocketAbi.CloseOnExec) != 0);
            return answer.Kind == AnswerKind.Sent ? answer : Answer.Continue;   // no number left: an ordinary one does for the rest
        }
    }

    /// <summary>
    /// A datagram on a descriptor that is no socket of ours. Where it makes or deletes an interface of kind xfrm we do that, and send in the
    /// program's name, on its own socket, what makes the kernel give the answer that is due.
    /// </summary>
    private Answer SendLink(in SeccompNotification call, ReadOnlySpan<IoVector> vectors)
    {
        Span<byte> bytes = stackalloc byte[LinkRequest.MaxLength];
        if (!TryGather(call, vectors, bytes, out int length) || !LinkRequest.TryParse(bytes[..length], out LinkRequest request))
        {
            return Answer.Continue;
        }
        using OrdinarySocket? socket = OrdinarySocket.TryOpen(call.ThreadId, Int(call, 0), _context.Namespaces);
        if (socket?.File is null || socket.Domain != SocketAbi.AfNetlink || socket.Protocol != SocketAbi.NetlinkRoute
            || !socket.Allows((int)call.ThreadId, UserNamespaces.NetAdmin))
        {
            return Answer.Continue;   // the kernel refuses it
        }
        if (!StillWaits(call))
        {
            return Errno.EINTR;
        }
        Note(socket.Space);
        if (Perform(socket.Space, request) is not { } substitute)
        {
            return Answer.Continue;
        }
        int errno = RouteSocket.Send(socket.File, substitute);
        return errno == 0 ? Answer.Value(length) : Answer.Error(errno);
    }

    /// <summary>What to ask the kernel instead; null: what the program asked.</summary>
    private byte[]? Perform(XfrmNamespace space, in LinkRequest request)
    {
        if (request.IsDeletion)
        {
            if (!_context.Hooks.DeleteLink(space, request.Index, request.Name))
            {
                return null;
            }
            _context.Links.Remove(space, request.Index, request.Name);
            return request.SubstituteFor(Errno.None);
        }
        if (request.IfId == 0)
        {
            return request.SubstituteFor(Errno.EINVAL);   // xfrmi_newlink: "if_id must be non zero"
        }
        if (!request.Creates)
        {
            return request.SubstituteFor(Errno.None, request.Index);   // xfrmi_changelink
        }
        Errno errno = _context.Hooks.CreateLink(space, request.Name, request.IfId, out int ifindex);
        if (errno == Errno.None)
        {
            _context.Links.Add(space, ifindex, new XfrmLink(request.Name, request.IfId, request.Parent));
        }
        return errno switch
        {
            Errno.None => request.SubstituteFor(Errno.None, ifindex),
            Errno.EEXIST => request.SubstituteFor(Errno.EEXIST),
            _ => null,
        };
    }

    private Answer ReceiveLinkFrom(in SeccompNotification call)
    {
        bool from = call.Data.Number == SystemCall.RecvFrom;
        IoVector[] vectors = [new IoVector { Base = Pointer(call, 1), Length = Pointer(call, 2) }];
        RouteReceive received = new(controlRoom: 0);
        if (TakeLinks(call, vectors, from ? Int(call, 3) : 0, received) is not { } taken)
        {
            return Answer.Continue;
        }
        if (from && Pointer(call, 4) != 0 && WriteCounted(call, Pointer(call, 4), Pointer(call, 5), received.Name, RouteReceive.NameSize) is { Kind: AnswerKind.Error } failure)
        {
            return failure;
        }
        return taken;
    }

    private Answer ReceiveLinkMessage(in SeccompNotification call)
    {
        if (!_context.Links.Any || !TryRead(call, Pointer(call, 1), out MessageHeader header)
            || ReadVectors(call, header.Vectors, header.VectorCount, Errno.EMSGSIZE, out IoVector[] vectors) != Errno.None)
        {
            return Answer.Continue;
        }
        RouteReceive received = new((int)Math.Min(header.Control == 0 ? 0 : header.ControlLength, MaxControl));
        if (TakeLinks(call, vectors, Int(call, 2), received) is not { } taken)
        {
            return Answer.Continue;
        }
        Errno errno = MessageDelivery.WriteHeader(
            _memory, (int)call.ThreadId, Pointer(call, 1), header, received.Name, received.Control.AsSpan(0, received.ControlLength), received.Flags & ~SocketAbi.MsgTrunc);
        return errno == Errno.None ? taken : errno;
    }

    /// <summary>
    /// A receive on a descriptor that is no socket of ours, once there are interfaces of kind xfrm. What the kernel says of those we deliver,
    /// put right, and give its length; everything else, and what is not there yet, the program takes itself: null.
    /// </summary>
    private Answer? TakeLinks(in SeccompNotification call, IoVector[] vectors, int flags, RouteReceive received)
    {
        // No more than the program has room for: by that Linux makes the parts of a dump.
        int room = Math.Min(MessageDelivery.RoomOf(vectors), MaxLinkAnswer);
        if (!_context.Links.Any || room == 0 || OrdinarySocket.TryOpen(call.ThreadId, Int(call, 0), _context.Namespaces) is not { } found)
        {
            return null;
        }
        using OrdinarySocket socket = found;
        Note(socket.Space);
        if (socket.File is null || socket.Domain != SocketAbi.AfNetlink || socket.Protocol != SocketAbi.NetlinkRoute)
        {
            return null;
        }
        byte[] buffer = ArrayPool<byte>.Shared.Rent(room);
        try
        {
            byte[]? Told(bool peeks)
            {
                int length = RouteSocket.Receive(socket.File, buffer.AsSpan(0, room), received, peeks);
                if (length <= 0 || length > room)
                {
                    return null;
                }
                byte[]? told = LinkAnswer.Rewrite(buffer.AsSpan(0, length), index => _context.Links.Find(socket.Space, index));
                return told is null && !peeks ? buffer[..length] : told;   // another thread has taken the one that we saw
            }

            byte[]? told = Told(peeks: true);
            if (told is null || told.Length > room)
            {
                return null;
            }
            if (!StillWaits(call))
            {
                return Errno.EINTR;
            }
            told = (flags & SocketAbi.MsgPeek) != 0 ? told : Told(peeks: false);
            return told is null ? null : MessageDelivery.TryWriteData(_memory, (int)call.ThreadId, vectors, told) ? Answer.Value(told.Length) : Errno.EFAULT;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private bool TryGather(in SeccompNotification call, ReadOnlySpan<IoVector> vectors, Span<byte> bytes, out int length)
    {
        length = 0;
        foreach (IoVector vector in vectors)
        {
            if (vector.Length > (ulong)(bytes.Length - length)
                || !TryRead(call, vector.Base, bytes.Slice(length, (int)vector.Length)))
            {
                return false;   // longer than any request that concerns us, or the kernel's own EFAULT
            }
            length += (int)vector.Length;
        }
        return true;
    }
}
