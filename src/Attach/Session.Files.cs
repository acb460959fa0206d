using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

// open, stat and access of /proc/net/xfrm_stat and /proc/sys/net/core/xfrm_*: the values of the program's namespace, as we have them.
internal sealed partial class Session
{
    private const int AtFdCwd = -100, PathMax = 4096;
    private const int WriteOnly = 1, ReadWrite = 2, AccessMode = 3, OpenCloseOnExec = 0x80000, OpenPath = 0x200000;
    private const int OpenDirectory = 0x10000, OpenNew = 0xc0;   // O_CREAT and O_EXCL
    private const int AccessExecute = 1, AccessWrite = 2;

    private Answer Open(in SeccompNotification call)
    {
        bool at = call.Data.Number is SystemCall.OpenAt or SystemCall.OpenAt2;
        KernelFile file = FileOf(call, at ? Int(call, 0) : AtFdCwd, Pointer(call, at ? 1 : 0));
        if (file == KernelFile.None)
        {
            return Answer.Continue;
        }
        ulong flags = call.Data.Number == SystemCall.Creat ? WriteOnly : Pointer(call, at ? 2 : 1);
        if (call.Data.Number == SystemCall.OpenAt2 && !TryRead(call, Pointer(call, 2), out flags))
        {
            return Errno.EFAULT;   // struct open_how begins with the flags
        }
        if ((flags & OpenPath) != 0)
        {
            return Answer.Continue;
        }
        if ((flags & OpenDirectory) != 0)
        {
            return Errno.ENOTDIR;
        }
        if ((flags & OpenNew) == OpenNew)
        {
            return Errno.EEXIST;
        }
        bool closeOnExec = (flags & OpenCloseOnExec) != 0;
        using SafeFileHandle? network = OpenNamespace(call.ThreadId);
        if (network is null)
        {
            return Answer.Continue;
        }
        XfrmNamespace space = _context.Namespaces.Find(network);
        Note(space);
        _context.Writers.TakeAll();
        if (((int)flags & AccessMode) is WriteOnly or ReadWrite)
        {
            return OpenForWriting(call, file, space, network, ((int)flags & AccessMode) == ReadWrite, closeOnExec);
        }
        using SafeFileHandle content = MemoryFile.CreateReadOnly(file.ToString(), Encoding.ASCII.GetBytes(KernelFiles.Text(file, space)));
        int errno = _listener.AnswerWithDescriptor(call.Id, content, at: null, closeOnExec);
        return errno == 0 ? Answer.Sent : Answer.Error(errno);
    }

    private Answer OpenForWriting(
        in SeccompNotification call, KernelFile file, XfrmNamespace space, SafeFileHandle network, bool readable, bool closeOnExec)
    {
        // net_ctl_permissions: mode 0644, for root and for who administers the namespace.
        bool allowed = file != KernelFile.Statistics && ProcStatus.TryRead((int)call.ThreadId, out ProcStatus status)
            && (status.FilesystemUid == 0 || UserNamespaces.Of(network).Allow((int)call.ThreadId, status, UserNamespaces.NetAdmin));
        if (!allowed)
        {
            return Errno.EACCES;
        }
        var (program, ours) = SeqpacketSocket.CreatePair(named: false, nonBlocking: false);
        using (program)
        {
            if (readable)
            {
                _ = SeqpacketSocket.TrySend(ours, Encoding.ASCII.GetBytes(KernelFiles.Text(file, space)));
            }
            SeqpacketSocket.EndSending(ours);   // who reads on meets the end of the file
            ulong inode = ProcFile.ReadInode($"/proc/self/fd/{program.DangerousGetHandle()}", "socket"u8, out _);
            SysctlWriter writer = new(inode, file, space, ours);
            if (!_context.Writers.TryAdd(writer))
            {
                writer.Dispose();
                return Errno.EMFILE;
            }
            return Inject(call, program, _range.Low, closeOnExec);
        }
    }

    private Answer Look(in SeccompNotification call)
    {
        bool at = call.Data.Number is SystemCall.NewFStatAt or SystemCall.StatX or SystemCall.FAccessAt or SystemCall.FAccessAt2;
        KernelFile file = FileOf(call, at ? Int(call, 0) : AtFdCwd, Pointer(call, at ? 1 : 0));
        if (file == KernelFile.None)
        {
            return Answer.Continue;
        }
        int mode = file == KernelFile.Statistics ? 0x8124 : 0x81a4;   // S_IFREG and 0444 or 0644
        switch (call.Data.Number)
        {
            case SystemCall.StatX:
                return WriteStruct(call, Pointer(call, 4), FileStatus.Extended(mode));
            case SystemCall.NewFStatAt:
                return WriteStruct(call, Pointer(call, 2), FileStatus.Classic(mode));
            case SystemCall.Stat or SystemCall.LStat:
                return WriteStruct(call, Pointer(call, 1), FileStatus.Classic(mode));
            default:
                int wanted = Int(call, at ? 2 : 1);
                bool denied = (wanted & AccessExecute) != 0 || ((wanted & AccessWrite) != 0 && file == KernelFile.Statistics);
                return denied ? Errno.EACCES : Errno.None;
        }
    }

    private Answer WriteStruct(in SeccompNotification call, ulong pointer, byte[] bytes) =>
        StillWaits(call) && TryWrite(call, pointer, bytes) ? Errno.None : Errno.EFAULT;

    /// <summary>Which of the files a call names, if any. Most paths are told by their last part alone.</summary>
    private KernelFile FileOf(in SeccompNotification call, int directory, ulong pathPointer)
    {
        int tid = (int)call.ThreadId;
        string? path = _memory.TryReadString(tid, pathPointer, PathMax);
        if (path is null || !KernelFiles.MayBe(path) || !StillWaits(call))
        {
            return KernelFile.None;
        }
        if (!path.StartsWith('/'))
        {
            string link = directory == AtFdCwd ? "cwd" : string.Create(CultureInfo.InvariantCulture, $"fd/{directory}");
            path = ProcFile.ReadLink(string.Create(CultureInfo.InvariantCulture, $"/proc/{tid}/{link}")) + "/" + path;
        }
        return KernelFiles.Find(path);
    }
}
