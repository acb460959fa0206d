using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

// NETLINK_ROUTE sockets are the kernel's own, made here so that they live at reserved numbers and their sends are told: interfaces of kind
// xfrm, which the kernel beneath lacks or would join to its own XFRM, are ours. Everything else goes on in the kernel.
internal sealed partial class Session
{
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
            || !socket.AllowsNetAdmin((int)call.ThreadId))
        {
            return Answer.Continue;   // the kernel refuses it
        }
        if (!StillWaits(call))
        {
            return Errno.EINTR;
        }
        _spaces.Add(socket.Space);
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
            return _context.Hooks.DeleteLink(space, request.Index, request.Name) ? request.SubstituteFor(Errno.None) : null;
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
        return errno switch
        {
            Errno.None => request.SubstituteFor(Errno.None, ifindex),
            Errno.EEXIST => request.SubstituteFor(Errno.EEXIST),
            _ => null,
        };
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
