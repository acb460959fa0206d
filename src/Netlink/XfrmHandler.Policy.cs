using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

internal sealed partial class XfrmHandler
{
    private const int MaxDepth = 6;   // XFRM_MAX_DEPTH
    private const int ModeMax = (int)XfrmMode.Iptfs + 1;   // XFRM_MODE_MAX
    private const byte ShareUnique = 3;   // XFRM_SHARE_UNIQUE
    private const uint IndexDirectionBits = 7;

    // xfrm_add_policy: NEWPOLICY, UPDPOLICY
    private Outcome AddPolicy(ref XfrmRequest request)
    {
        XfrmUserPolicyInfo info = request.Body<XfrmUserPolicyInfo>();
        Outcome outcome = VerifyNewPolicy(info);
        if (outcome.IsOk)
        {
            outcome = NewSaVerifier.VerifySecurityContext(ref request);
        }
        Policy? policy = null;
        if (outcome.IsOk)
        {
            outcome = ConstructPolicy(info, request.Attributes.Mark().Masked, ref request, out policy);
        }
        if (!outcome.IsOk)
        {
            return outcome;
        }
        bool exclusive = request.Type == XfrmMsg.NewPolicy;
        outcome = _space.Spd.Insert(policy!, exclusive);
        if (outcome.IsOk)
        {
            _space.KeyManagers.NotifyPolicy(new PolicyEvent(exclusive ? PolicyEventKind.New : PolicyEventKind.Update, policy)
            {
                Direction = policy!.Direction,
                Type = policy.Type,
                Seq = request.Header.Seq,
                PortId = request.Header.Pid,
            });
        }
        return outcome;
    }

    // xfrm_get_policy: GETPOLICY, DELPOLICY
    private Outcome GetPolicy(ref XfrmRequest request)
    {
        XfrmUserPolicyId id = request.Body<XfrmUserPolicyId>();
        Outcome outcome = ReadPolicyType(ref request, out PolicyType type);
        if (outcome.IsOk)
        {
            outcome = VerifyDirection(id.Dir);
        }
        if (!outcome.IsOk)
        {
            return outcome;
        }
        outcome = FindPolicy(id.Index, id.Sel, (PolicyDirection)id.Dir, type, ref request, out Policy? policy);
        if (!outcome.IsOk)
        {
            return outcome;
        }
        if (request.Type == XfrmMsg.GetPolicy)
        {
            using NlWriter writer = new(TypicalReply);
            PolicyMessages.WritePolicy(writer, NlMsgFlags.None, request.Header.Seq, request.Socket.Port, policy!, id.Dir);
            request.Socket.Reply(writer.Written);
            return Outcome.Ok;
        }
        if (!_space.Spd.Delete(policy!))
        {
            return Errno.ENOENT;
        }
        _space.KeyManagers.NotifyPolicy(new PolicyEvent(PolicyEventKind.Delete, policy)
        {
            Direction = (PolicyDirection)id.Dir,
            Type = type,
            ByIndex = id.Index != 0,
            Seq = request.Header.Seq,
            PortId = request.Header.Pid,
        });
        return Outcome.Ok;
    }

    // xfrm_policy_byid, xfrm_policy_bysel_ctx
    private Outcome FindPolicy(uint index, in XfrmSelector selector, PolicyDirection direction, PolicyType type, ref XfrmRequest request, out Policy? found)
    {
        found = null;
        // The mark is compared as it was sent: value and mask alike must be those of the policy.
        request.Attributes.TryRead(XfrmAttr.Mark, out XfrmMark mark);
        uint ifId = request.Attributes.UInt32(XfrmAttr.IfId) ?? 0;
        if (index != 0)
        {
            found = _space.Spd.GetByIndex(type, direction, index, mark, ifId);
        }
        else
        {
            Outcome outcome = NewSaVerifier.VerifySecurityContext(ref request);
            if (!outcome.IsOk)
            {
                return outcome;
            }
            found = _space.Spd.Get(type, direction, selector, mark, ifId);
        }
        return found is null ? Errno.ENOENT : Outcome.Ok;
    }

    // verify_newpolicy_info
    internal static Outcome VerifyNewPolicy(in XfrmUserPolicyInfo info)
    {
        if (info.Share > ShareUnique)
        {
            return Outcome.Reject(Errno.EINVAL, "Invalid policy share");
        }
        if ((PolicyAction)info.Action is not (PolicyAction.Allow or PolicyAction.Block))
        {
            return Outcome.Reject(Errno.EINVAL, "Invalid policy action");
        }
        switch (info.Sel.Family)
        {
            case AddressFamily.Inet when info.Sel.PrefixlenD > 32 || info.Sel.PrefixlenS > 32:
                return Outcome.Reject(Errno.EINVAL, "Invalid prefix length in selector (must be <= 32 for IPv4)");
            case AddressFamily.Inet6 when info.Sel.PrefixlenD > 128 || info.Sel.PrefixlenS > 128:
                return Outcome.Reject(Errno.EINVAL, "Invalid prefix length in selector (must be <= 128 for IPv6)");
            case AddressFamily.Inet or AddressFamily.Inet6:
                break;
            default:
                return Outcome.Reject(Errno.EINVAL, "Invalid selector family");
        }
        Outcome outcome = VerifyDirection(info.Dir);
        if (outcome.IsOk && info.Index != 0 && (info.Index & IndexDirectionBits) != info.Dir)
        {
            return Outcome.Reject(Errno.EINVAL, "Policy index doesn't match direction");
        }
        return outcome;
    }

    // verify_policy_dir
    private static Outcome VerifyDirection(byte direction) =>
        (PolicyDirection)direction is PolicyDirection.In or PolicyDirection.Out or PolicyDirection.Fwd
            ? Outcome.Ok
            : Outcome.Reject(Errno.EINVAL, "Invalid policy direction");

    // copy_from_user_policy_type
    private static Outcome ReadPolicyType(ref XfrmRequest request, out PolicyType type)
    {
        type = request.Attributes.TryRead(XfrmAttr.PolicyType, out XfrmUserPolicyType given) ? (PolicyType)given.Type : PolicyType.Main;
        return type is PolicyType.Main or PolicyType.Sub ? Outcome.Ok : Outcome.Reject(Errno.EINVAL, "Invalid policy type");
    }

    // xfrm_policy_construct
    private Outcome ConstructPolicy(in XfrmUserPolicyInfo info, XfrmMark mark, ref XfrmRequest request, out Policy? policy)
    {
        policy = null;
        Outcome outcome = ReadPolicyType(ref request, out PolicyType type);
        PolicyTemplate[] templates = [];
        if (outcome.IsOk)
        {
            outcome = ReadTemplates(info, request.Attributes.WritableData(XfrmAttr.Tmpl), out templates);
        }
        if (outcome.IsOk && request.Attributes.TryRead(XfrmAttr.OffloadDev, out XfrmUserOffload offload))
        {
            outcome = RefusePolicyOffload(offload, _space);
        }
        if (!outcome.IsOk)
        {
            return outcome;
        }
        policy = new Policy
        {
            Selector = info.Sel,
            Direction = (PolicyDirection)info.Dir,
            Type = type,
            Lifetime = info.Lft,
            Priority = info.Priority,
            Action = (PolicyAction)info.Action,
            Flags = (PolicyFlags)info.Flags,
            Mark = mark,
            IfId = request.Attributes.UInt32(XfrmAttr.IfId) ?? 0,
            TemplateArray = templates,
            Index = info.Index,
        };
        return Outcome.Ok;
    }

    // copy_from_user_tmpl, validate_tmpl: an open family is filled in where it was read.
    internal static Outcome ReadTemplates(in XfrmUserPolicyInfo info, Span<byte> data, out PolicyTemplate[] templates)
    {
        int count = data.Length / Unsafe.SizeOf<PolicyTemplate>();
        templates = [];
        if (count > MaxDepth)
        {
            return Outcome.Reject(Errno.EINVAL, "Template count must be <= XFRM_MAX_DEPTH (6)");
        }
        PolicyTemplate[] read = new PolicyTemplate[count];
        ushort family = info.Sel.Family;
        for (int i = 0; i < count; i++)
        {
            PolicyTemplate given = MemoryMarshal.Read<PolicyTemplate>(data[(i * Unsafe.SizeOf<PolicyTemplate>())..]);
            if (given.Family == AddressFamily.Unspec)
            {
                given.Family = info.Sel.Family;
                MemoryMarshal.Write(data[(i * Unsafe.SizeOf<PolicyTemplate>())..], given);
            }
            Outcome outcome = VerifyTemplate(given, family, (PolicyDirection)info.Dir);
            if (!outcome.IsOk)
            {
                return outcome;
            }
            family = given.Family;
            // What is kept of it (copy_templates): not the padding.
            read[i] = new PolicyTemplate
            {
                Id = given.Id,
                Family = given.Family,
                Saddr = given.Saddr,
                Reqid = given.Reqid,
                ModeByte = given.ModeByte,
                Share = given.Share,
                Optional = given.Optional,
                Aalgos = given.Aalgos,
                Ealgos = given.Ealgos,
                Calgos = given.Calgos,
            };
        }
        templates = read;
        return Outcome.Ok;
    }

    private static Outcome VerifyTemplate(in PolicyTemplate template, ushort previousFamily, PolicyDirection direction)
    {
        if (template.HasTunnelAddresses)
        {
            if (template.IsOptional && direction == PolicyDirection.Out)
            {
                return Outcome.Reject(Errno.EINVAL, "Mode in optional template not allowed in outbound policy");
            }
        }
        else if (template.Family != previousFamily)
        {
            return Outcome.Reject(Errno.EINVAL, "Mode in template doesn't support a family change");
        }
        if (template.ModeByte >= ModeMax)
        {
            return Outcome.Reject(Errno.EINVAL, "Mode in template must be < XFRM_MODE_MAX (6)");
        }
        if (template.Family is not (AddressFamily.Inet or AddressFamily.Inet6))
        {
            return Outcome.Reject(Errno.EINVAL, "Invalid family in template");
        }
        // xfrm_id_proto_valid
        return template.Id.Proto is IpProtocol.Ah or IpProtocol.Esp or IpProtocol.Comp or IpProtocol.Routing or IpProtocol.DstOpts
            ? Outcome.Ok
            : Outcome.Reject(Errno.EINVAL, "Invalid XFRM protocol in template");
    }

    // xfrm_dev_policy_add for a device without offload, or none
    private static Outcome RefusePolicyOffload(in XfrmUserOffload offload, XfrmNamespace space)
    {
        if (offload.Flags == XfrmOffloadFlags.None || (offload.Flags & ~XfrmOffloadFlags.Packet) != 0)
        {
            return Outcome.Reject(Errno.EINVAL, "Unrecognized flags in offload request");
        }
        return space.HasInterface(offload.Ifindex) ? Outcome.Reject(Errno.EINVAL, "Policy offload is not supported") : Errno.EINVAL;
    }
}
