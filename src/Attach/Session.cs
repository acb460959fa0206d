using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;

namespace Xfrmd.Attach;

/// <summary>
/// One attached program and all its descendants: receives their system calls and answers each at once. No call is ever held by the thread
/// that serves them all (see <see cref="ProgramReceive"/>), so it cannot dead-lock; whatever goes wrong here, the call is answered.
/// </summary>
internal sealed partial class Session : IDisposable
{
    private readonly AttachContext _context;
    private readonly SeccompListener _listener;
    private readonly ReservedRange _range;
    private readonly bool _unseen;
    private readonly bool _waitKillable;
    private readonly int _pid;
    private readonly HashSet<XfrmNamespace> _spaces = [];
    private readonly ProcessMemory _memory;

    public Session(AttachContext context, SeccompListener listener, ReservedRange range, bool unseen, bool waitKillable, int pid)
    {
        _context = context;
        _listener = listener;
        _range = range;
        _unseen = unseen;
        _waitKillable = waitKillable;
        _pid = pid;
        _memory = context.Memory;
    }

    /// <summary>Serves until the last program of the tree has ended. The calling thread must be dedicated: it enters other namespaces.</summary>
    public void Run()
    {
        _listener.TrySetSynchronousWakeUp();
        using (SafeFileHandle? first = OpenNamespace((uint)_pid))
        {
            if (first is not null)
            {
                Note(_context.Namespaces.Find(first));
            }
        }
        while (_listener.Receive(out SeccompNotification call))
        {
            Answer answer;
            try
            {
                answer = Dispatch(call);
            }
            catch (Exception failure) when (failure is not OutOfMemoryException)
            {
                _context.Log.CallFailed(failure, call.Data.Number, call.ThreadId);
                answer = Failure(call.Data.Number);
            }
            if (answer.Kind is not (AnswerKind.Sent or AnswerKind.Held))
            {
                Reply(call.Id, answer);
            }
        }
        foreach (XfrmNamespace space in _spaces)
        {
            _context.Hooks.SessionEnded(space, _pid);
            _context.Namespaces.SessionEnded(space);
        }
    }

    public void Dispose()
    {
        ForgetThreads();
        _listener.Dispose();
    }

    /// <summary>The programs use a namespace. Those that have ended are forgotten: a tree of programs may make thousands.</summary>
    private void Note(XfrmNamespace space)
    {
        if (_spaces.Add(space))
        {
            _spaces.RemoveWhere(static s => s.IsEnded);
        }
    }

    private Answer Dispatch(in SeccompNotification call) => call.Data.Number switch
    {
        SystemCall.Socket => MakeSocket(call),
        SystemCall.SendTo => SendTo(call),
        SystemCall.Write => Write(call),
        SystemCall.WriteV => WriteV(call),
        SystemCall.SendMsg => SendMsg(call),
        SystemCall.SendMMsg => SendMMsg(call),
        SystemCall.RecvFrom => RecvFrom(call),
        SystemCall.Read or SystemCall.ReadV => Read(call),
        SystemCall.RecvMsg => RecvMsg(call),
        SystemCall.RecvMMsg => RecvMMsg(call),
        SystemCall.Bind => Bind(call),
        // __sys_accept4_file; sock_no_listen, sock_no_accept, sock_no_shutdown
        SystemCall.Accept4 when (Int(call, 3) & ~(SocketAbi.CloseOnExec | SocketAbi.NonBlock)) != 0 => Answer.Continue,
        SystemCall.Listen or SystemCall.Accept or SystemCall.Accept4 or SystemCall.Shutdown => Ours(call) is null ? Answer.Continue : Errno.EOPNOTSUPP,
        SystemCall.Ioctl => Control(call),
        SystemCall.Connect => Connect(call),
        SystemCall.GetSockName => GetName(call, peer: false),
        SystemCall.GetPeerName => GetName(call, peer: true),
        SystemCall.SetSockOpt => SetOption(call),
        SystemCall.GetSockOpt => GetOption(call),
        SystemCall.Dup => Duplicate(call, 0, closeOnExec: false),
        SystemCall.Fcntl => Duplicate(call, Int(call, 2), closeOnExec: Int(call, 1) == SocketAbi.DupFdCloseOnExec),
        SystemCall.Open or SystemCall.Creat or SystemCall.OpenAt or SystemCall.OpenAt2 => Open(call),
        SystemCall.Unshare or SystemCall.SetNs => LeavesNamespaces(call),
        _ => Look(call),
    };

    /// <summary>
    /// After a mistake of ours: what concerns the program's files goes on in the kernel; what must not reach it (a kernel without ESP would
    /// take UDP_ENCAP) or could be done twice (a send) fails.
    /// </summary>
    private static Answer Failure(int number) => number switch
    {
        SystemCall.Socket or SystemCall.SendTo or SystemCall.Write or SystemCall.WriteV or SystemCall.SendMsg or SystemCall.SendMMsg
            or SystemCall.SetSockOpt => Errno.ENOMEM,
        _ => Answer.Continue,
    };

    private void Reply(ulong id, Answer answer) => _ = _listener.Answer(answer.ResponseTo(id));

    private static SafeFileHandle? OpenNamespace(uint thread) =>
        ProcFile.TryOpen(string.Create(CultureInfo.InvariantCulture, $"/proc/{thread}/ns/net"));

    private static int Int(in SeccompNotification call, int argument) => unchecked((int)call.Data.Arguments[argument]);

    private static ulong Pointer(in SeccompNotification call, int argument) => call.Data.Arguments[argument];

    /// <summary>
    /// Whether the caller still waits, so that what was read from its memory was its own. A killed thread's number may be another's, and where
    /// signals interrupt the call, it may be another call already.
    /// </summary>
    private bool StillWaits(in SeccompNotification call) => (_waitKillable && _alive == call.Id) || _listener.IsWaiting(call.Id);
}
