using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Packets;

/// <summary>eventfd(2): any thread wakes a worker that waits for packets.</summary>
public sealed class WakeEvent : IDisposable
{
    public WakeEvent() => Handle = new SafeFileHandle(Libc.Check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"), ownsHandle: true);

    public SafeFileHandle Handle { get; }

    public unsafe void Set()
    {
        ulong one = 1;
        _ = write((int)Handle.DangerousGetHandle(), &one, sizeof(ulong));
    }

    public unsafe void Reset()
    {
        ulong count;
        _ = read((int)Handle.DangerousGetHandle(), &count, sizeof(ulong));
    }

    public void Dispose() => Handle.Dispose();
}
