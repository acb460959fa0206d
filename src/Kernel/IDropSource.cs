namespace Xfrmd.Kernel;

/// <summary>Tells what is dropped before it comes here. Opened while somebody watches; its owner orders the calls.</summary>
public interface IDropSource : IDisposable
{
    /// <summary>Why it has nothing to tell, in words for a person; null where it has.</summary>
    string? Obstacle { get; }

    /// <summary>Hands over what was dropped since it was asked last.</summary>
    void Drain(Action<DroppedPacket> tell);
}
