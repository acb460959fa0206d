using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Ports;

/// <summary>Sends whole packets of this host's own as any program of it would: through policies, routing and netfilter. Used by one thread.</summary>
/// <param name="v4">From <see cref="PacketSockets.OpenOwnSender"/>; owned.</param>
/// <param name="v6">The same for IPv6; null where the host has none.</param>
public sealed class HostPort(SafeFileHandle v4, SafeFileHandle? v6) : IDisposable
{
    private readonly SendBatch _batch = new(1, 1);

    /// <summary>Sends a packet, or loses it where the host would not send it.</summary>
    /// <param name="buffer">A pinned array.</param>
    /// <param name="length">Bytes from the array's start.</param>
    /// <param name="daddr">Where it goes.</param>
    /// <param name="family">Its family.</param>
    public void Send(byte[] buffer, int length, in XfrmAddress daddr, ushort family)
    {
        bool isV4 = family == AddressFamily.Inet;
        if ((isV4 ? v4 : v6) is { } socket)
        {
            _batch.Begin(daddr.Bytes[..(isV4 ? 4 : 16)], 0);
            _batch.Append(buffer, 0, length);
            _ = _batch.Send(socket, 0);
            _batch.Clear();
        }
    }

    public void Dispose()
    {
        v4.Dispose();
        v6?.Dispose();
    }
}
