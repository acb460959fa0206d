using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Sockets;

/// <summary>epoll(7) over handles that are told apart by a number of the caller's choice.</summary>
public sealed class Epoll : IDisposable
{
    private readonly SafeFileHandle _handle = new(Libc.Check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"), ownsHandle: true);

    public unsafe void Add(SafeFileHandle handle, EpollEvents events, ulong token)
    {
        epoll_event entry = Entry(events, token);
        Libc.Check(epoll_ctl(Descriptor, EPOLL_CTL_ADD, (int)handle.DangerousGetHandle(), &entry), "EPOLL_CTL_ADD");
    }

    public unsafe void Modify(SafeFileHandle handle, EpollEvents events, ulong token)
    {
        epoll_event entry = Entry(events, token);
        Libc.Check(epoll_ctl(Descriptor, EPOLL_CTL_MOD, (int)handle.DangerousGetHandle(), &entry), "EPOLL_CTL_MOD");
    }

    public unsafe void Remove(SafeFileHandle handle) => _ = epoll_ctl(Descriptor, EPOLL_CTL_DEL, (int)handle.DangerousGetHandle(), null);

    /// <summary>Waits, and writes what happened; how many.</summary>
    public unsafe int Wait(Span<(EpollEvents Events, ulong Token)> happened, int milliseconds = -1)
    {
        epoll_event* entries = stackalloc epoll_event[happened.Length];
        int count = epoll_wait(Descriptor, entries, happened.Length, milliseconds);
        if (count < 0)
        {
            return Libc.LastErrno == Libc.EINTR ? 0 : throw new LinuxException(Libc.LastErrno, "epoll_wait");
        }
        for (int i = 0; i < count; i++)
        {
            happened[i] = ((EpollEvents)(uint)entries[i].events, entries[i].data.u64);
        }
        return count;
    }

    public void Dispose() => _handle.Dispose();

    private static epoll_event Entry(EpollEvents events, ulong token)
    {
        epoll_event entry = new() { events = (int)events };
        entry.data.u64 = token;
        return entry;
    }

    private int Descriptor => (int)_handle.DangerousGetHandle();
}
