namespace Xfrmd.Kernel;

/// <summary>Lost packets of one flow: why, and of which flow (all zero where it was not yet known).</summary>
/// <param name="Counter">The reason, under its /proc/net/xfrm_stat name; null for a block that Linux does not count.</param>
/// <param name="Flow">The inner flow, or the outer one where the packet never was opened.</param>
/// <param name="Spi">The SPI it carried, or 0.</param>
/// <param name="Packets">How many.</param>
public readonly record struct DroppedPacket(XfrmCounter? Counter, Flow Flow, Be32 Spi, int Packets)
{
    /// <summary>It was dropped before it came here.</summary>
    public bool Beneath { get; init; }

    /// <summary>Why, where the counter does not say it.</summary>
    public string? Why { get; init; }
}
