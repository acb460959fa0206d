using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

/// <summary><c>pfkey_dump_sp</c>: the MAIN policies, those of sockets among them, newest first.</summary>
internal sealed class PolicyDump(XfrmNamespace space) : IPfKeyDump
{
    private const int DirectionBits = 7;
    private readonly DatabaseWalk<Policy> _walk = Begin(space.Spd);

    public bool HasNext()
    {
        for (; _walk.Peek() is { } policy; _walk.Advance())
        {
            if (policy.Type == PolicyType.Main)
            {
                return true;
            }
        }
        return false;
    }

    public PfKeyWriter? WriteNext(SadbMsg header) => _walk.Peek() is { } policy
        ? PolicyMessages.WritePolicy(header, policy, (int)(policy.Index & DirectionBits), policy.CountReferences(space.Time))
        : null;

    public void Advance() => _walk.Advance();

    public void Dispose() => _walk.Dispose();

    private static DatabaseWalk<Policy> Begin(Spd spd)
    {
        spd.ForgetClosedSockets();
        return spd.Walk();
    }
}
