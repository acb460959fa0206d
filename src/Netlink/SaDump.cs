using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

/// <summary>GETSA as a dump: <c>xfrm_dump_sa</c>, with its filters.</summary>
internal sealed class SaDump(XfrmNamespace space, byte[] request) : INetlinkDump
{
    private readonly DatabaseWalk<SecurityAssociation> _walk = space.Sad.Walk();
    private byte _proto;
    private AddressFilter? _filter;

    public Errno Start(ExtAck extAck)
    {
        // Linux reads the attributes from where the body stands: a body is then taken for attributes too.
        NlAttributes attributes = default;
        Errno errno = attributes.Parse(request, NlMsgHdr.Size, XfrmPolicyTable.Xfrma, extAck);
        if (errno != Errno.None)
        {
            return errno;
        }
        if (attributes.TryRead(XfrmAttr.AddressFilter, out XfrmAddressFilter filter))
        {
            if (filter.Splen > AddressFilter.MaxPrefix || filter.Dplen > AddressFilter.MaxPrefix)
            {
                return Errno.EINVAL;
            }
            _filter = new AddressFilter(filter.Saddr, filter.Daddr, filter.Family, filter.Splen, filter.Dplen);
        }
        _proto = attributes.TryRead(XfrmAttr.Proto, out byte proto) ? proto : (byte)0;
        return Errno.None;
    }

    public bool TryWriteNext(NlWriter writer, uint seq, uint portId)
    {
        for (; _walk.Peek() is { } sa; _walk.Advance())
        {
            if (Passes(sa))
            {
                StateMessages.WriteState(writer, XfrmMsg.NewSa, NlMsgFlags.Multi, seq, portId, sa);
                return true;
            }
        }
        return false;
    }

    public void Advance() => _walk.Advance();

    public void Dispose() => _walk.Dispose();

    // xfrm_state_walk
    private bool Passes(SecurityAssociation sa) =>
        sa.State != SaState.Dead && IpProtocol.Matches(sa.Id.Proto, _proto) && (_filter is not { } filter || filter.Matches(sa));
}
