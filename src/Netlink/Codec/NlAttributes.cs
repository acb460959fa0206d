using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink.Codec;

/// <summary>
/// The attributes of one message by type: <c>struct nlattr *attrs[]</c> after <c>nlmsg_parse_deprecated</c>. What is present was found
/// long enough for its policy.
/// </summary>
internal ref struct NlAttributes
{
    private const int MaxTypes = (int)XfrmAttr.Max + 1;
    private Span<byte> _message;
    private Slots _slots;

    /// <summary>
    /// <c>__nla_parse</c> with NL_VALIDATE_LIBERAL: of several attributes of one type the last counts, unknown types are passed over.
    /// </summary>
    /// <param name="message">The message, header included.</param>
    /// <param name="start">Where attributes begin.</param>
    /// <param name="table">The policies; its length is the number of known types.</param>
    /// <param name="extAck">Gets the reason.</param>
    public Errno Parse(Span<byte> message, int start, ReadOnlySpan<NlaPolicy> table, ExtAck extAck)
    {
        _message = message;
        _slots = default;
        NlAttrReader reader = new(message, start);
        while (reader.MoveNext())
        {
            NlAttr attr = reader.Current;
            if (attr.Type == 0 || attr.Type >= table.Length)
            {
                continue;
            }
            Errno errno = Validate(attr, table[attr.Type], extAck);
            if (errno != Errno.None)
            {
                return errno;
            }
            _slots[attr.Type] = new Slot(attr.Offset, attr.Data.Length);
        }
        if (reader.HasLeftover)
        {
            extAck.Say("bytes leftover after parsing attributes");
        }
        return Errno.None;
    }

    public readonly bool Has(XfrmAttr type) => _slots[(int)type].Present;

    /// <summary>The payload; empty where the attribute is absent.</summary>
    public readonly ReadOnlySpan<byte> Data(XfrmAttr type) => WritableData(type);

    /// <summary>The payload, to be changed in place.</summary>
    public readonly Span<byte> WritableData(XfrmAttr type)
    {
        Slot slot = _slots[(int)type];
        return slot.Present ? _message.Slice(slot.Offset + NlAttr.HeaderSize, slot.Length) : default;
    }

    public readonly bool TryRead<T>(XfrmAttr type, out T value) where T : unmanaged
    {
        if (Has(type) && MemoryMarshal.TryRead(Data(type), out value))
        {
            return true;
        }
        value = default;
        return false;
    }

    public readonly uint? UInt32(XfrmAttr type) => TryRead(type, out uint value) ? value : null;

    /// <summary><c>xfrm_mark_get</c>: as it was sent, 0/0 where absent. Lookups and what is inserted use it <see cref="XfrmMark.Masked"/>.</summary>
    public readonly XfrmMark Mark() => TryRead(XfrmAttr.Mark, out XfrmMark mark) ? mark : default;

    // validate_nla
    private static Errno Validate(in NlAttr attr, in NlaPolicy policy, ExtAck extAck)
    {
        bool strict = attr.Type >= XfrmPolicyTable.StrictStart;
        int length = attr.Data.Length, expected = policy.IntegerLength;
        if (strict && expected != 0 && length != expected)
        {
            extAck.Blame(attr.Offset, "invalid attribute length", policy);
            return Errno.EINVAL;
        }
        if (strict && attr.IsNested && policy.Type != NlaType.Unspec)
        {
            extAck.Blame(attr.Offset, "NLA_F_NESTED not expected", policy);
            return Errno.EINVAL;
        }
        bool fits = policy.Type switch
        {
            NlaType.Flag => length == 0,
            NlaType.Unspec => length >= policy.Length,
            _ => length >= expected,
        };
        if (!fits)
        {
            extAck.Blame(attr.Offset, "Attribute failed policy validation", policy);
            return Errno.ERANGE;
        }
        if (policy.HasRange && (attr.Data[0] < policy.Min || attr.Data[0] > policy.Max))
        {
            extAck.Blame(attr.Offset, "integer out of range", policy);
            return Errno.ERANGE;
        }
        return Errno.None;
    }

    private readonly record struct Slot(int Offset, int Length)
    {
        // An attribute never stands at 0 of a message with a header; a dump's may, and is then taken as absent only if it is empty.
        public bool Present => Offset != 0 || Length != 0;
    }

    [InlineArray(MaxTypes)]
    private struct Slots
    {
        private Slot _first;
    }
}
