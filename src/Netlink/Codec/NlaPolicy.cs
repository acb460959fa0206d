using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink.Codec;

/// <summary>What an attribute must look like: <c>struct nla_policy</c>.</summary>
/// <param name="Type">The kind of payload.</param>
/// <param name="Length">Least length of a payload without kind.</param>
/// <param name="Min">Least value; with <paramref name="Max"/> 0 the range is not limited.</param>
/// <param name="Max">Greatest value.</param>
internal readonly record struct NlaPolicy(NlaType Type, int Length = 0, ulong Min = 0, ulong Max = 0)
{
    public bool HasRange => Max != 0;

    /// <summary><c>nla_attr_len</c>: the payload's length that an integer has; 0 for other kinds.</summary>
    public int IntegerLength => Type switch { NlaType.U8 => 1, NlaType.U16 => 2, NlaType.U32 => 4, NlaType.U64 => 8, _ => 0 };

    /// <summary><c>netlink_policy_dump_write_attr</c>: as NLMSGERR_ATTR_POLICY; nothing for payloads without kind.</summary>
    public void WriteTo(NlWriter writer)
    {
        if (Type == NlaType.Unspec)
        {
            return;
        }
        int nest = writer.BeginNested((ushort)NlMsgErrAttr.Policy);
        if (IntegerLength != 0)
        {
            writer.Put((ushort)NlPolicyAttr.MinValueU, HasRange ? Min : 0UL);
            writer.Put((ushort)NlPolicyAttr.MaxValueU, HasRange ? Max : ulong.MaxValue >> (64 - (8 * IntegerLength)));
        }
        writer.Put((ushort)NlPolicyAttr.Type, NetlinkTypeNumber);
        writer.EndNested(nest);
    }

    // NL_ATTR_TYPE_*
    private uint NetlinkTypeNumber => Type switch { NlaType.Flag => 1, NlaType.U8 => 2, NlaType.U16 => 3, NlaType.U32 => 4, _ => 5 };
}
