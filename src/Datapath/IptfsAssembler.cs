using System.Buffers.Binary;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>
/// Takes the inner packets out of the payloads of one IP-TFS SA and puts those together that were cut. Mirrors <c>iptfs_input_ordered</c>,
/// <c>iptfs_reassem_cont</c> and <c>__input_process_payload</c>.
/// </summary>
/// <param name="output">Where whole packets go.</param>
internal sealed class IptfsAssembler(IptfsOutput output)
{
    private const int MaxPacket = Ipv6View.HeaderLength + ushort.MaxValue;
    private const int KnowsLength4 = 4, KnowsLength6 = 6;
    private byte[]? _partial;
    private int _have;

    // The packet's length; 0 while too little of it has come to tell.
    private int _need;

    // The number of the payload that it goes on in (ra_wantseq).
    private ulong _wanted;

    /// <summary>A packet has begun whose end is to come.</summary>
    public bool HasPartial => _have > 0;

    /// <summary>The drop timer: what was begun will not be ended. Linux counts nothing.</summary>
    public void Forget() => _have = _need = 0;

    /// <summary>Takes what is in one payload. What came whole is delivered.</summary>
    /// <param name="payload">From the IP-TFS header on.</param>
    /// <param name="sequence">Its sequence number.</param>
    /// <returns>Why something in it was lost; null: nothing was.</returns>
    public XfrmCounter? Accept(ReadOnlySpan<byte> payload, ulong sequence)
    {
        if (!AggfragView.IsWhole(payload))
        {
            return XfrmCounter.InBufferError;
        }
        if (!AggfragView.TryParse(payload, out AggfragView aggfrag))
        {
            return XfrmCounter.InHdrError;
        }
        ReadOnlySpan<byte> data = aggfrag.Data;
        int offset = aggfrag.BlockOffset;
        XfrmCounter? lost = null;
        if (HasPartial)
        {
            if (sequence < _wanted)
            {
                return null;   // too old: without a reorder window it may come so
            }
            if (sequence == _wanted && offset == 0)
            {
                _wanted++;   // all of it is padding (RFC 9347 section 2.2.3)
                return null;
            }
            if (sequence > _wanted || !TryGoOn(data[..Math.Min(offset, data.Length)], offset))
            {
                lost = XfrmCounter.InIptfsError;
                Forget();
            }
        }
        return offset >= data.Length ? lost : AcceptBlocks(data[offset..], sequence) ?? lost;
    }

    private bool TryGoOn(ReadOnlySpan<byte> part, int offset)
    {
        if (_need == 0)
        {
            // What tells the length must be here, for both families as much as IPv6 needs.
            int missing = KnowsLength6 - _have;
            if (part.Length < missing)
            {
                return false;
            }
            part[..missing].CopyTo(_partial.AsSpan(_have));
            if (!TryLength(_partial.AsSpan(0, KnowsLength6), out _need))
            {
                return false;
            }
        }
        int left = _need - _have, fits = Math.Min(part.Length, left);
        if (offset < left)
        {
            return false;   // it would end before its end
        }
        part[..fits].CopyTo(_partial.AsSpan(_have));
        _have += fits;
        if (_have < _need)
        {
            _wanted++;
            return true;
        }
        output.Add(_partial.AsSpan(0, _have));
        Forget();
        return true;
    }

    private XfrmCounter? AcceptBlocks(ReadOnlySpan<byte> data, ulong sequence)
    {
        const int Pad = 0;
        while (!data.IsEmpty && data[0] >> 4 != Pad)
        {
            if (data[0] >> 4 is not (4 or 6))
            {
                return XfrmCounter.InBufferError;
            }
            if (!TryLength(data, out int length))
            {
                return XfrmCounter.InIptfsError;   // Linux would not come to an end
            }
            if (length == 0 || length > data.Length)
            {
                _partial ??= GC.AllocateUninitializedArray<byte>(MaxPacket);
                data.CopyTo(_partial);
                (_have, _need, _wanted) = (data.Length, length, sequence + 1);
                return null;
            }
            output.Add(data[..length]);
            data = data[length..];
        }
        return null;
    }

    /// <summary>The length of the packet that begins here, 0 where too little is there to tell; false: it is no packet.</summary>
    private static bool TryLength(ReadOnlySpan<byte> start, out int length)
    {
        length = 0;
        switch (start[0] >> 4)
        {
            case 4:
                length = start.Length < KnowsLength4 ? 0 : BinaryPrimitives.ReadUInt16BigEndian(start[2..]);
                return start.Length < KnowsLength4 || length >= Ipv4View.MinHeaderLength;
            case 6:
                length = start.Length < KnowsLength6 ? 0 : Ipv6View.HeaderLength + BinaryPrimitives.ReadUInt16BigEndian(start[4..]);
                return true;
            default:
                return false;
        }
    }
}
