using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Direct;

/// <summary>What one worker sends directly with: AF_PACKET, and where many packets go to one link that takes frames, AF_XDP.</summary>
/// <param name="socket">From <see cref="PacketSockets.OpenLinkSender"/>; owned.</param>
/// <param name="paths">Who opens what is wanted.</param>
public sealed class DirectSender(SafeFileHandle socket, DirectPaths paths) : IDisposable
{
    private static readonly TimeProvider Time = TimeProvider.System;
    private static readonly long Patience = 10 * Time.TimestampFrequency;
    private FrameSender? _frames, _offered;
    private long _wantedAt = long.MinValue;
    private volatile bool _isDisposed;

    public SafeFileHandle Socket => socket;

    /// <summary>Where packets may go directly.</summary>
    public DirectView View { get; } = paths.View();

    /// <summary>What packets of this route are sent with throughout a batch; null: the socket.</summary>
    public FrameSender? Frames(DirectRoute route) => route.TakesFrames && _frames?.Ifindex == route.Ifindex ? _frames : null;

    /// <summary>Sends what <see cref="Frames"/> was given.</summary>
    public void SendFrames()
    {
        if (_frames?.Send() > 0)
        {
            // They wait for the next batch, behind those of a link that is not what it was.
            View.Distrust();
        }
    }

    /// <summary>All of a batch has been sent: what was offered meanwhile serves the next.</summary>
    public void EndBatch()
    {
        View.EndBatch();
        if (Volatile.Read(ref _offered) is not null)
        {
            _frames?.Dispose();
            _frames = Interlocked.Exchange(ref _offered, null);
        }
    }

    /// <summary>Many packets went by the socket that might go as frames: sees now and then whether they may.</summary>
    public void WantFrames(DirectRoute route)
    {
        long now = Time.GetTimestamp();
        if (route.Mtu <= FrameSender.MaxPacket && (_wantedAt == long.MinValue || now - _wantedAt >= Patience))
        {
            _wantedAt = now;
            paths.WantFrames(this, route.Ifindex);
        }
    }

    /// <summary>By another thread: the worker takes it up with its next batch.</summary>
    internal void Offer(FrameSender frames)
    {
        Interlocked.Exchange(ref _offered, frames)?.Dispose();
        if (_isDisposed)
        {
            Interlocked.Exchange(ref _offered, null)?.Dispose();
        }
    }

    public void Dispose()
    {
        _isDisposed = true;
        socket.Dispose();
        View.Dispose();
        _frames?.Dispose();
        Interlocked.Exchange(ref _offered, null)?.Dispose();
    }
}
