namespace Xfrmd.Datapath;

/// <summary>Inner packets that came out of IP-TFS payloads, in order, until they are taken. The buffer grows to what is needed and stays.</summary>
internal sealed class IptfsOutput
{
    private readonly List<(int Offset, int Length)> _packets = [];
    private byte[] _bytes = [];
    private int _used, _taken;

    public void Clear()
    {
        _packets.Clear();
        _used = _taken = 0;
    }

    public void Add(ReadOnlySpan<byte> packet)
    {
        if (_used + packet.Length > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(2 * _bytes.Length, _used + packet.Length));
        }
        packet.CopyTo(_bytes.AsSpan(_used));
        _packets.Add((_used, packet.Length));
        _used += packet.Length;
    }

    /// <summary>The next packet; it stays until <see cref="Clear"/>.</summary>
    public bool TryTake(out Span<byte> packet)
    {
        if (_taken == _packets.Count)
        {
            packet = default;
            return false;
        }
        (int offset, int length) = _packets[_taken++];
        packet = _bytes.AsSpan(offset, length);
        return true;
    }
}
