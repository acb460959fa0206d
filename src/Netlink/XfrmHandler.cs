using System.Runtime.CompilerServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

/// <summary>
/// What NETLINK_XFRM does with requests. Mirrors net/xfrm/xfrm_user.c. All of it runs under <see cref="XfrmNamespace.Gate"/>; a request
/// that is refused has changed nothing. Files: XfrmHandler.cs dispatch, .State.cs SAs, .Construct.cs how an SA is made of a message,
/// .Policy.cs policies, .Spi.cs SPI allocation and acquires, .Expire.cs, .Flush.cs, .Aevent.cs, .Migrate.cs, .Info.cs.
/// </summary>
internal sealed partial class XfrmHandler
{
    private const int TypicalReply = 1024;
    private readonly NetlinkNamespace _namespace;
    private readonly XfrmNamespace _space;

    public XfrmHandler(NetlinkNamespace space)
    {
        _namespace = space;
        _space = space.Space;
    }

    private delegate Outcome Doit(XfrmHandler handler, ref XfrmRequest request);

    /// <summary>A row of <c>xfrm_dispatch</c> and <c>xfrm_msg_min</c>.</summary>
    /// <param name="Type">The message.</param>
    /// <param name="MinBody">Bytes that its body must have.</param>
    /// <param name="Do">The handler; null: refused with EINVAL.</param>
    /// <param name="Dump">What NLM_F_ROOT or NLM_F_MATCH starts.</param>
    /// <param name="OwnAttributes">Its attributes are those of <c>xfrma_spd_policy</c>.</param>
    private sealed record Row(XfrmMsg Type, int MinBody, Doit? Do, Func<XfrmHandler, byte[], INetlinkDump>? Dump = null, bool OwnAttributes = false);

    private static readonly Row[] Dispatch =
    [
        new(XfrmMsg.NewSa, Unsafe.SizeOf<XfrmUserSaInfo>(), static (XfrmHandler h, ref XfrmRequest r) => h.AddSa(ref r)),
        new(XfrmMsg.DelSa, Unsafe.SizeOf<XfrmUserSaId>(), static (XfrmHandler h, ref XfrmRequest r) => h.DelSa(ref r)),
        new(XfrmMsg.GetSa, Unsafe.SizeOf<XfrmUserSaId>(), static (XfrmHandler h, ref XfrmRequest r) => h.GetSa(ref r), static (h, m) => new SaDump(h._space, m)),
        new(XfrmMsg.NewPolicy, Unsafe.SizeOf<XfrmUserPolicyInfo>(), static (XfrmHandler h, ref XfrmRequest r) => h.AddPolicy(ref r)),
        new(XfrmMsg.DelPolicy, Unsafe.SizeOf<XfrmUserPolicyId>(), static (XfrmHandler h, ref XfrmRequest r) => h.GetPolicy(ref r)),
        new(XfrmMsg.GetPolicy, Unsafe.SizeOf<XfrmUserPolicyId>(), static (XfrmHandler h, ref XfrmRequest r) => h.GetPolicy(ref r), static (h, _) => new PolicyDump(h._space)),
        new(XfrmMsg.AllocSpi, Unsafe.SizeOf<XfrmUserSpiInfo>(), static (XfrmHandler h, ref XfrmRequest r) => h.AllocSpi(ref r)),
        new(XfrmMsg.Acquire, Unsafe.SizeOf<XfrmUserAcquire>(), static (XfrmHandler h, ref XfrmRequest r) => h.AddAcquire(ref r)),
        new(XfrmMsg.Expire, Unsafe.SizeOf<XfrmUserExpire>(), static (XfrmHandler h, ref XfrmRequest r) => h.AddSaExpire(ref r)),
        new(XfrmMsg.UpdPolicy, Unsafe.SizeOf<XfrmUserPolicyInfo>(), static (XfrmHandler h, ref XfrmRequest r) => h.AddPolicy(ref r)),
        new(XfrmMsg.UpdSa, Unsafe.SizeOf<XfrmUserSaInfo>(), static (XfrmHandler h, ref XfrmRequest r) => h.AddSa(ref r)),
        new(XfrmMsg.PolExpire, Unsafe.SizeOf<XfrmUserPolExpire>(), static (XfrmHandler h, ref XfrmRequest r) => h.AddPolicyExpire(ref r)),
        new(XfrmMsg.FlushSa, Unsafe.SizeOf<XfrmUserSaFlush>(), static (XfrmHandler h, ref XfrmRequest r) => h.FlushSa(ref r)),
        new(XfrmMsg.FlushPolicy, 0, static (XfrmHandler h, ref XfrmRequest r) => h.FlushPolicy(ref r)),
        new(XfrmMsg.NewAe, Unsafe.SizeOf<XfrmAeventId>(), static (XfrmHandler h, ref XfrmRequest r) => h.NewAevent(ref r)),
        new(XfrmMsg.GetAe, Unsafe.SizeOf<XfrmAeventId>(), static (XfrmHandler h, ref XfrmRequest r) => h.GetAevent(ref r)),
        new(XfrmMsg.Report, Unsafe.SizeOf<XfrmUserReport>(), null),
        new(XfrmMsg.Migrate, Unsafe.SizeOf<XfrmUserPolicyId>(), static (XfrmHandler h, ref XfrmRequest r) => h.Migrate(ref r)),
        new(XfrmMsg.NewSadInfo, 0, null),
        new(XfrmMsg.GetSadInfo, sizeof(uint), static (XfrmHandler h, ref XfrmRequest r) => h.GetSadInfo(ref r)),
        new(XfrmMsg.NewSpdInfo, sizeof(uint), static (XfrmHandler h, ref XfrmRequest r) => h.SetSpdInfo(ref r), OwnAttributes: true),
        new(XfrmMsg.GetSpdInfo, sizeof(uint), static (XfrmHandler h, ref XfrmRequest r) => h.GetSpdInfo(ref r)),
        new(XfrmMsg.Mapping, Unsafe.SizeOf<XfrmUserMapping>(), null),
        new(XfrmMsg.SetDefault, Unsafe.SizeOf<XfrmUserPolicyDefault>(), static (XfrmHandler h, ref XfrmRequest r) => h.SetDefault(ref r)),
        new(XfrmMsg.GetDefault, Unsafe.SizeOf<XfrmUserPolicyDefault>(), static (XfrmHandler h, ref XfrmRequest r) => h.GetDefault(ref r)),
    ];

    /// <summary><c>xfrm_user_rcv_msg</c>.</summary>
    /// <param name="socket">Who asks.</param>
    /// <param name="header">Its type is one of a protocol.</param>
    /// <param name="message">The message, header included.</param>
    /// <param name="netAdmin">Whether the caller may.</param>
    /// <param name="extAck">Gets what is known beside the error number.</param>
    /// <returns><see cref="Errno.EINTR"/> where a dump was started.</returns>
    public Errno Handle(NetlinkSocket socket, in NlMsgHdr header, Span<byte> message, bool netAdmin, ExtAck extAck)
    {
        if (header.Type > (ushort)XfrmMsg.Max)
        {
            return Errno.EINVAL;
        }
        if (!netAdmin)
        {
            return Errno.EPERM;
        }
        Row row = Dispatch[header.Type - (ushort)XfrmMsg.Base];
        if (row.Dump is { } dump && (header.Flags & NlMsgFlags.Dump) != 0)
        {
            return socket.StartDump(header, dump(this, message.ToArray()));
        }
        if (message.Length < NlMsgHdr.Size + row.MinBody)
        {
            extAck.Say("Invalid header length");
            return Errno.EINVAL;
        }
        XfrmRequest request = new() { Socket = socket, Header = header, Message = message, ExtAck = extAck };
        Errno errno = request.Attributes.Parse(message, NlMsgHdr.Size + NlAttr.Align(row.MinBody),
            row.OwnAttributes ? XfrmPolicyTable.SpdInfo : XfrmPolicyTable.Xfrma, extAck);
        if (errno == Errno.None && !row.OwnAttributes)
        {
            errno = RejectUnusedAttributes(ref request);
        }
        if (errno != Errno.None)
        {
            return errno;
        }
        if (row.Do is null)
        {
            return Errno.EINVAL;
        }
        Outcome outcome = row.Do(this, ref request);
        if (outcome.ExtAck is { } text)
        {
            extAck.Say(text);
        }
        return outcome.Errno;
    }

    // xfrm_reject_unused_attr
    private static Errno RejectUnusedAttributes(ref XfrmRequest request)
    {
        if (request.Attributes.Has(XfrmAttr.SaDir) && request.Type is not (XfrmMsg.NewSa or XfrmMsg.UpdSa or XfrmMsg.AllocSpi))
        {
            request.ExtAck.Say("Invalid attribute SA_DIR");
            return Errno.EINVAL;
        }
        if (request.Attributes.Has(XfrmAttr.SaPcpu) && request.Type is not (XfrmMsg.NewSa or XfrmMsg.UpdSa or XfrmMsg.AllocSpi or XfrmMsg.Acquire))
        {
            request.ExtAck.Say("Invalid attribute SA_PCPU");
            return Errno.EINVAL;
        }
        return Errno.None;
    }
}
