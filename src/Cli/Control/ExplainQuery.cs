namespace Xfrmd.Cli.Control;

/// <summary>The packet that <c>xfrmd explain</c> asks about.</summary>
internal sealed record ExplainQuery
{
    public required string Source { get; init; }
    public required string Destination { get; init; }
    public byte Protocol { get; init; }
    public ushort SourcePort { get; init; }
    public ushort DestinationPort { get; init; }
    public uint Mark { get; init; }
    public uint IfId { get; init; }

    /// <summary>out, in or fwd; null: as the addresses say.</summary>
    public string? Direction { get; init; }

    /// <summary>The source is an address of this host: the packet is sent here.</summary>
    public bool IsSourceLocal { get; init; }

    /// <summary>The destination is an address of this host: the packet ends here.</summary>
    public bool IsDestinationLocal { get; init; }
}
