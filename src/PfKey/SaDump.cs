using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

/// <summary><c>pfkey_dump_sa</c>: the SAs of a protocol, newest first.</summary>
internal sealed class SaDump(Sad sad, byte proto, AddressFilter? filter) : IPfKeyDump
{
    private readonly DatabaseWalk<SecurityAssociation> _walk = sad.Walk();

    public bool HasNext()
    {
        for (; _walk.Peek() is { } sa; _walk.Advance())
        {
            if (IpProtocol.Matches(sa.Id.Proto, proto) && filter?.Matches(sa) is not false)
            {
                return true;
            }
        }
        return false;
    }

    public PfKeyWriter? WriteNext(SadbMsg header)
    {
        if (_walk.Peek() is not { } sa)
        {
            return null;
        }
        header.Satype = PfKeyNumbers.SatypeOf(sa.Id.Proto);
        return SaMessages.WriteState(header, sa);
    }

    public void Advance() => _walk.Advance();

    public void Dispose() => _walk.Dispose();
}
