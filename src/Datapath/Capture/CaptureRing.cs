using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Capture;

/// <summary>
/// Copies of packets on their way from one worker to one reader, in memory that is there from the start. The worker never waits: what finds
/// no room is counted as lost. A packet is begun, and can be read once it is committed, when it is known what became of it.
/// </summary>
/// <param name="packets">Packets that can wait; a power of two.</param>
/// <param name="bytes">Bytes that can wait.</param>
/// <param name="snapLength">Bytes kept of each packet at most.</param>
public sealed class CaptureRing(int packets, int bytes, int snapLength)
{
    private readonly CapturedPacket[] _entries = new CapturedPacket[packets];
    private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>(bytes);
    private long _committed;      // the worker writes it
    private long _end;            // the worker's own: bytes ever used
    private long _consumed;       // the reader writes it
    private long _freed;          // the reader writes it: bytes ever given back
    private long _lost;
    private bool _isBegun;

    /// <summary>Packets that found no room.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Packets that were committed.</summary>
    internal long Committed => Volatile.Read(ref _committed);

    /// <summary>Packets that were read.</summary>
    internal long Consumed => _consumed;

    /// <summary>The worker: copies a packet that consists of two parts.</summary>
    public void Begin(in CapturedPacket info, ReadOnlySpan<byte> header, ReadOnlySpan<byte> rest)
    {
        int length = header.Length + rest.Length, kept = Math.Min(length, snapLength);
        int at = (int)(_end % _bytes.Length);
        long start = at + kept > _bytes.Length ? _end + _bytes.Length - at : _end;   // never around the corner
        if (_committed - Volatile.Read(ref _consumed) == _entries.Length || start + kept - Volatile.Read(ref _freed) > _bytes.Length)
        {
            _isBegun = false;
            Volatile.Write(ref _lost, _lost + 1);
            return;
        }
        Span<byte> room = _bytes.AsSpan((int)(start % _bytes.Length), kept);
        int first = Math.Min(header.Length, kept);
        header[..first].CopyTo(room);
        rest[..(kept - first)].CopyTo(room[first..]);
        ref CapturedPacket entry = ref _entries[_committed & (_entries.Length - 1)];
        entry = info;
        entry.Length = length;
        entry.Start = start;
        entry.Kept = kept;
        _isBegun = true;
    }

    /// <summary>The worker: lets the reader see what was begun, if anything was.</summary>
    public void Commit(SecurityAssociation? sa, XfrmCounter? dropped, bool isLost)
    {
        if (!_isBegun)
        {
            return;
        }
        _isBegun = false;
        ref CapturedPacket entry = ref _entries[_committed & (_entries.Length - 1)];
        (entry.Sa, entry.Dropped, entry.IsLost) = (sa, dropped, isLost);
        _end = entry.Start + entry.Kept;
        Volatile.Write(ref _committed, _committed + 1);
    }

    /// <summary>The reader: the oldest packet; its bytes stay until <see cref="Release"/>.</summary>
    internal bool TryPeek(out CapturedPacket packet, out ReadOnlySpan<byte> bytes)
    {
        packet = default;
        bytes = default;
        if (_consumed == Volatile.Read(ref _committed))
        {
            return false;
        }
        packet = _entries[_consumed & (_entries.Length - 1)];
        bytes = _bytes.AsSpan((int)(packet.Start % _bytes.Length), packet.Kept);
        return true;
    }

    /// <summary>The reader: gives the oldest packet's room back.</summary>
    internal void Release()
    {
        ref CapturedPacket entry = ref _entries[_consumed & (_entries.Length - 1)];
        long end = entry.Start + entry.Kept;
        entry = default;   // holds no SA longer than needed
        Volatile.Write(ref _freed, end);
        Volatile.Write(ref _consumed, _consumed + 1);
    }
}
