using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// Sleeps for some microseconds, or until a handle can be read: while nobody waits on a socket, packets that come in wake nobody either, which
/// costs the sender's and the receiver's processor more than a packet does. Used by one thread.
/// </summary>
public sealed class ShortSleep
{
    private const int PR_SET_TIMERSLACK = 29;
    private readonly PacketCalls.PollEntry[] _entries = PinnedArray.CreateZeroed<PacketCalls.PollEntry>(1);
    private bool _isExact;

    /// <param name="wake">What ends the sleep early.</param>
    public ShortSleep(SafeFileHandle wake)
    {
        _entries[0].Descriptor = (int)wake.DangerousGetHandle();
        _entries[0].Events = PacketCalls.POLLIN;
    }

    /// <summary>Sleeps.</summary>
    /// <param name="microseconds">Less than a second.</param>
    public unsafe void Sleep(int microseconds)
    {
        if (!_isExact)
        {
            _isExact = true;
            _ = PacketCalls.ProcessControl(PR_SET_TIMERSLACK, 1, 0, 0, 0);   // of this thread; 50 microseconds otherwise
        }
        PacketCalls.Duration duration = new() { Nanoseconds = microseconds * 1000L };
        _ = PacketCalls.PollExactly(PinnedArray.Pointer(_entries), 1, &duration, 0);
    }
}
