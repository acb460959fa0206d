using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>
/// A file of net.core.xfrm_* that a program has open for writing: one end of a pair. Through a reserved descriptor a write is taken in the
/// call, with the kernel's own error; through another (a shell moves it to standard output) it waits here, and is taken before anything
/// else is answered.
/// </summary>
internal sealed class SysctlWriter(ulong inode, KernelFile file, XfrmNamespace space, SafeFileHandle ours) : IDisposable
{
    private const int Longest = 64;

    /// <summary>The inode of the program's end.</summary>
    public ulong Inode { get; } = inode;

    public Errno Write(ReadOnlySpan<byte> text) => KernelFiles.Write(file, space, text);

    /// <summary>Takes what was written past us. False: the program has closed its end.</summary>
    public bool Take()
    {
        Span<byte> text = stackalloc byte[Longest];
        for (; ; )
        {
            int length = SeqpacketSocket.TryReceive(ours, text, out _);
            if (length < 0)
            {
                return length == -(int)Errno.EAGAIN;
            }
            if (length == 0)
            {
                return false;
            }
            _ = Write(text[..Math.Min(length, text.Length)]);
        }
    }

    public void Dispose() => ours.Dispose();
}
