namespace Xfrmd.Cli.Control;

/// <summary>One SA. Keys stand in <see cref="AuthKey"/> and <see cref="CipherKey"/> only where they were asked for.</summary>
internal sealed record SaReport
{
    public required string Source { get; init; }
    public required string Destination { get; init; }
    public required string Protocol { get; init; }
    public required string Spi { get; init; }
    public required uint Reqid { get; init; }
    public required string Mode { get; init; }
    public required string State { get; init; }
    public required string Family { get; init; }
    public string? Direction { get; init; }
    public string? Cipher { get; init; }
    public int CipherKeyBits { get; init; }
    public string? CipherKey { get; init; }
    public string? Integrity { get; init; }
    public int IntegrityBits { get; init; }
    public string? AuthKey { get; init; }
    public string? Encapsulation { get; init; }
    public string Selector { get; init; } = "";
    public bool Esn { get; init; }
    public bool Dying { get; init; }
    public ulong SequenceOut { get; init; }
    public ulong SequenceIn { get; init; }
    public uint ReplayWindow { get; init; }
    public ulong Bytes { get; init; }
    public ulong Packets { get; init; }
    public ulong AddedAt { get; init; }
    public ulong UsedAt { get; init; }
    public ulong? RekeyInSeconds { get; init; }
    public ulong? ExpiresInSeconds { get; init; }
    public uint ReplayErrors { get; init; }
    public uint ReplayWindowErrors { get; init; }
    public uint IntegrityErrors { get; init; }
    public uint IfId { get; init; }
    public string? Mark { get; init; }
}
