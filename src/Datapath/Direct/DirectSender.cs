using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Datapath.Direct;

/// <summary>What one worker sends directly with.</summary>
/// <param name="socket">From <see cref="Linux.Packets.PacketSockets.OpenLinkSender"/>; owned.</param>
/// <param name="view">Where packets may go directly; owned.</param>
public sealed class DirectSender(SafeFileHandle socket, DirectView view) : IDisposable
{
    public SafeFileHandle Socket => socket;

    public DirectView View => view;

    public void Dispose()
    {
        socket.Dispose();
        view.Dispose();
    }
}
