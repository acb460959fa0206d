using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

/// <summary>GETPOLICY as a dump: <c>xfrm_dump_policy</c>. Attributes are not looked at; policies of sockets are among the entries.</summary>
internal sealed class PolicyDump(XfrmNamespace space) : INetlinkDump
{
    private const uint DirectionBits = 7;
    private readonly DatabaseWalk<Policy> _walk = Begin(space.Spd);

    public Errno Start(ExtAck extAck) => Errno.None;

    public bool TryWriteNext(NlWriter writer, uint seq, uint portId)
    {
        if (_walk.Peek() is not { } policy)
        {
            return false;
        }
        // xfrm_policy_id2dir
        PolicyMessages.WritePolicy(writer, NlMsgFlags.Multi, seq, portId, policy, (byte)(policy.Index & DirectionBits));
        return true;
    }

    public void Advance() => _walk.Advance();

    public void Dispose() => _walk.Dispose();

    private static DatabaseWalk<Policy> Begin(Spd spd)
    {
        spd.ForgetClosedSockets();
        return spd.Walk();
    }
}
