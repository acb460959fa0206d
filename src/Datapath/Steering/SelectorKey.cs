namespace Xfrmd.Datapath.Steering;

/// <summary>The values that a selector wants in the fields of its <see cref="SelectorShape"/>, as nf_tables lays them out.</summary>
public readonly struct SelectorKey(byte[] bytes) : IEquatable<SelectorKey>
{
    private readonly byte[] _bytes = bytes;

    public ReadOnlyMemory<byte> Bytes => _bytes;

    public bool Equals(SelectorKey other) => _bytes.AsSpan().SequenceEqual(other._bytes);

    public override bool Equals(object? obj) => obj is SelectorKey other && Equals(other);

    public override int GetHashCode()
    {
        HashCode hash = default;
        hash.AddBytes(_bytes);
        return hash.ToHashCode();
    }

    public override string ToString() => Convert.ToHexStringLower(_bytes);

    public static bool operator ==(SelectorKey a, SelectorKey b) => a.Equals(b);
    public static bool operator !=(SelectorKey a, SelectorKey b) => !a.Equals(b);
}
