namespace Xfrmd.Cli.Control;

/// <summary>What <c>xfrmd capture</c> wants to see.</summary>
internal sealed record CaptureQuery
{
    /// <summary>clear, esp or both.</summary>
    public string Side { get; init; } = Both;

    public const string Clear = "clear", Esp = "esp", Both = "both";

    /// <summary>Bytes kept of each packet.</summary>
    public int SnapLength { get; init; } = MaxSnapLength;

    public const int MaxSnapLength = 65535 + 128;

    /// <summary>Only packets of the SA with this SPI; 0: all.</summary>
    public uint Spi { get; init; }

    /// <summary>Only packets from or to this address, inner or outer; null: all.</summary>
    public string? Host { get; init; }

    /// <summary>Stop after so many packets; 0: never.</summary>
    public long Count { get; init; }
}
