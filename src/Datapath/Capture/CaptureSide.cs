namespace Xfrmd.Datapath.Capture;

/// <summary>Where a packet was seen: what hosts say, or what the network carries.</summary>
public enum CaptureSide : byte
{
    Clear,
    Esp,
}
