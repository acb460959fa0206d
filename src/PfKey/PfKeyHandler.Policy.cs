using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

internal sealed partial class PfKeyHandler
{
    private const int DirectionBits = 7;

    // pfkey_spdadd: X_SPDUPDATE, X_SPDADD, X_SPDSETIDX
    private Errno AddPolicy(in SadbMessage message)
    {
        if (!message.TryGetEnds(out SadbEnds ends) || !message.TryGet(SadbExtType.XPolicy, out SadbXPolicy given)
            || given.Type > IpsecPolicyType.Ipsec || !TryDirection(given.Dir, out PolicyDirection direction))
        {
            return Errno.EINVAL;
        }
        PolicyTemplate[] templates = [];
        if (given.Type == IpsecPolicyType.Ipsec)
        {
            Errno errno = IpsecRequests.Parse(message.Extension(SadbExtType.XPolicy), given.Dir, ends.Family, () => _namespace.Reqids.Next(_space.Spd), out templates);
            if (errno != Errno.None)
            {
                return errno;
            }
        }
        Policy policy = new()
        {
            Selector = ends.ToSelector(),
            Direction = direction,
            Action = given.Type == IpsecPolicyType.Discard ? PolicyAction.Block : PolicyAction.Allow,
            Priority = given.Priority,
            Lifetime = Lifetimes.Read(message),
            TemplateArray = templates,
            AcceptsAllAlgorithms = true,
        };
        bool update = message.Header.Type == SadbType.XSpdUpdate;
        Outcome outcome = _space.Spd.Insert(policy, exclusive: !update);
        if (outcome.IsOk)
        {
            _space.KeyManagers.NotifyPolicy(new PolicyEvent(update ? PolicyEventKind.Update : PolicyEventKind.New, policy)
            {
                Direction = direction,
                Type = policy.Type,
                Seq = message.Header.Seq,
                PortId = message.Header.Pid,
            });
        }
        return outcome.Errno;
    }

    // pfkey_spddelete
    private Errno DeletePolicy(in SadbMessage message)
    {
        if (!message.TryGetEnds(out SadbEnds ends) || !message.TryGet(SadbExtType.XPolicy, out SadbXPolicy given)
            || !TryDirection(given.Dir, out PolicyDirection direction))
        {
            return Errno.EINVAL;
        }
        return _space.Spd.Get(PolicyType.Main, direction, ends.ToSelector(), default, 0) is { } policy ? Delete(policy, message, byIndex: false) : Errno.ENOENT;
    }

    // pfkey_spdget: X_SPDGET, X_SPDDELETE2
    private Errno GetPolicy(PfKeySocket socket, in SadbMessage message)
    {
        if (!message.TryGet(SadbExtType.XPolicy, out SadbXPolicy given) || (given.Id & DirectionBits) > (uint)PolicyDirection.Fwd)
        {
            return Errno.EINVAL;
        }
        PolicyDirection direction = (PolicyDirection)(given.Id & DirectionBits);
        if (_space.Spd.GetByIndex(PolicyType.Main, direction, given.Id, default, 0) is not { } policy)
        {
            return Errno.ENOENT;
        }
        if (message.Header.Type == SadbType.XSpdDelete2)
        {
            return Delete(policy, message, byIndex: true);
        }
        // key_pol_get_resp; one reference is the caller's.
        using PfKeyWriter? writer = PolicyMessages.WritePolicy(ReplyHeader(message, SadbSatype.Unspec), policy, (int)direction, policy.CountReferences(_space.Time) + 1);
        if (writer is null)
        {
            return Errno.EINVAL;
        }
        _namespace.SendToOne(socket, writer.Written);
        return Errno.None;
    }

    private Errno Delete(Policy policy, in SadbMessage message, bool byIndex)
    {
        if (!_space.Spd.Delete(policy))
        {
            return Errno.ENOENT;
        }
        _space.KeyManagers.NotifyPolicy(new PolicyEvent(PolicyEventKind.Delete, policy)
        {
            Direction = policy.Direction,
            Type = policy.Type,
            ByIndex = byIndex,
            Seq = message.Header.Seq,
            PortId = message.Header.Pid,
        });
        return Errno.None;
    }

    private static bool TryDirection(IpsecDir given, out PolicyDirection direction)
    {
        direction = (PolicyDirection)(given - 1);
        return given is not IpsecDir.Any and < IpsecDir.Max;
    }
}
