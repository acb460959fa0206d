using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Packets;

/// <summary>Waits until one of a few handles can be read: poll(2) for a worker that has nothing else to do.</summary>
public sealed class ReadyWait
{
    private readonly PacketCalls.PollEntry[] _entries;

    public ReadyWait(params ReadOnlySpan<SafeFileHandle> handles)
    {
        _entries = PinnedArray.CreateZeroed<PacketCalls.PollEntry>(handles.Length);
        for (int i = 0; i < handles.Length; i++)
        {
            _entries[i].Descriptor = (int)handles[i].DangerousGetHandle();
            _entries[i].Events = PacketCalls.POLLIN;
        }
    }

    /// <summary>A bit per handle that is readable (or broken); 0 after the time has passed.</summary>
    public unsafe uint Wait(int milliseconds = -1)
    {
        int count = PacketCalls.Poll(PinnedArray.Pointer(_entries), (nuint)_entries.Length, milliseconds);
        if (count < 0)
        {
            return Libc.LastErrno == Libc.EINTR ? 0u : throw new LinuxException(Libc.LastErrno, "poll");
        }
        uint ready = 0;
        for (int i = 0; i < _entries.Length; i++)
        {
            ready |= _entries[i].Happened != 0 ? 1u << i : 0u;
        }
        return ready;
    }
}
