using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink.Tests.Abi;

/// <summary>The structures and numbers of the wire against the system's own headers: a C compiler checks them.</summary>
public sealed class LayoutTests
{
    // Our type, the kernel's, and its fields in the order of ours.
    private static readonly (Type Type, string Name, string Fields)[] Structures =
    [
        (typeof(NlMsgHdr), "struct nlmsghdr", "nlmsg_len nlmsg_type nlmsg_flags nlmsg_seq nlmsg_pid"),
        (typeof(SockAddrNl), "struct sockaddr_nl", "nl_family nl_pid nl_groups"),
        (typeof(XfrmAddress), "xfrm_address_t", ""),
        (typeof(XfrmId), "struct xfrm_id", "daddr spi proto"),
        (typeof(XfrmSelector), "struct xfrm_selector", "daddr saddr dport dport_mask sport sport_mask family prefixlen_d prefixlen_s proto ifindex user"),
        (typeof(XfrmLifetimeCfg), "struct xfrm_lifetime_cfg",
            "soft_byte_limit hard_byte_limit soft_packet_limit hard_packet_limit soft_add_expires_seconds hard_add_expires_seconds soft_use_expires_seconds hard_use_expires_seconds"),
        (typeof(XfrmLifetimeCur), "struct xfrm_lifetime_cur", "bytes packets add_time use_time"),
        (typeof(XfrmStats), "struct xfrm_stats", "replay_window replay integrity_failed"),
        (typeof(XfrmMark), "struct xfrm_mark", ""),
        (typeof(XfrmEncapTmpl), "struct xfrm_encap_tmpl", "encap_type encap_sport encap_dport encap_oa"),
        (typeof(PolicyTemplate), "struct xfrm_user_tmpl", "id family saddr reqid mode share optional aalgos ealgos calgos"),
        (typeof(XfrmReplayStateAbi), "struct xfrm_replay_state", "oseq seq bitmap"),
        (typeof(XfrmReplayStateEsn), "struct xfrm_replay_state_esn", "bmp_len oseq seq oseq_hi seq_hi replay_window"),
        (typeof(XfrmAlgo), "struct xfrm_algo", "alg_name alg_key_len"),
        (typeof(XfrmAlgoAuth), "struct xfrm_algo_auth", "alg_name alg_key_len alg_trunc_len"),
        (typeof(XfrmAlgoAuth), "struct xfrm_algo_aead", "alg_name alg_key_len alg_icv_len"),
        (typeof(XfrmUserSecCtx), "struct xfrm_user_sec_ctx", "len exttype ctx_alg ctx_doi ctx_len"),
        (typeof(XfrmUserPolicyType), "struct xfrm_userpolicy_type", "type reserved1 reserved2"),
        (typeof(XfrmUserSaInfo), "struct xfrm_usersa_info", "sel id saddr lft curlft stats seq reqid family mode replay_window flags"),
        (typeof(XfrmUserSaId), "struct xfrm_usersa_id", "daddr spi family proto"),
        (typeof(XfrmAeventId), "struct xfrm_aevent_id", "sa_id saddr flags reqid"),
        (typeof(XfrmUserSpiInfo), "struct xfrm_userspi_info", "info min max"),
        (typeof(XfrmUserPolicyInfo), "struct xfrm_userpolicy_info", "sel lft curlft priority index dir action flags share"),
        (typeof(XfrmUserPolicyId), "struct xfrm_userpolicy_id", "sel index dir"),
        (typeof(XfrmUserAcquire), "struct xfrm_user_acquire", "id saddr sel policy aalgos ealgos calgos seq"),
        (typeof(XfrmUserExpire), "struct xfrm_user_expire", "state hard"),
        (typeof(XfrmUserPolExpire), "struct xfrm_user_polexpire", "pol hard"),
        (typeof(XfrmUserSaFlush), "struct xfrm_usersa_flush", "proto"),
        (typeof(XfrmUserReport), "struct xfrm_user_report", "proto sel"),
        (typeof(XfrmUserKmAddress), "struct xfrm_user_kmaddress", "local remote reserved family"),
        (typeof(XfrmUserMigrate), "struct xfrm_user_migrate", "old_daddr old_saddr new_daddr new_saddr proto mode reserved reqid old_family new_family"),
        (typeof(XfrmUserMapping), "struct xfrm_user_mapping", "id reqid old_saddr new_saddr old_sport new_sport"),
        (typeof(XfrmAddressFilter), "struct xfrm_address_filter", "saddr daddr family splen dplen"),
        (typeof(XfrmUserOffload), "struct xfrm_user_offload", "ifindex flags"),
        (typeof(XfrmUserPolicyDefault), "struct xfrm_userpolicy_default", "in fwd out"),
        (typeof(XfrmuSpdInfo), "struct xfrmu_spdinfo", "incnt outcnt fwdcnt inscnt outscnt fwdscnt"),
        (typeof(XfrmuHInfo), "struct xfrmu_spdhinfo", "spdhcnt spdhmcnt"),
        (typeof(XfrmuHInfo), "struct xfrmu_sadhinfo", "sadhcnt sadhmcnt"),
        (typeof(XfrmuSpdHThresh), "struct xfrmu_spdhthresh", "lbits rbits"),
    ];

    // Debian 12's header is of Linux 6.1: what came later has no counterpart there.
    private static readonly (string Name, int Value)[] Numbers =
    [
        ("XFRM_MSG_NEWSA", (int)XfrmMsg.NewSa), ("XFRM_MSG_DELSA", (int)XfrmMsg.DelSa), ("XFRM_MSG_GETSA", (int)XfrmMsg.GetSa),
        ("XFRM_MSG_NEWPOLICY", (int)XfrmMsg.NewPolicy), ("XFRM_MSG_DELPOLICY", (int)XfrmMsg.DelPolicy), ("XFRM_MSG_GETPOLICY", (int)XfrmMsg.GetPolicy),
        ("XFRM_MSG_ALLOCSPI", (int)XfrmMsg.AllocSpi), ("XFRM_MSG_ACQUIRE", (int)XfrmMsg.Acquire), ("XFRM_MSG_EXPIRE", (int)XfrmMsg.Expire),
        ("XFRM_MSG_UPDPOLICY", (int)XfrmMsg.UpdPolicy), ("XFRM_MSG_UPDSA", (int)XfrmMsg.UpdSa), ("XFRM_MSG_POLEXPIRE", (int)XfrmMsg.PolExpire),
        ("XFRM_MSG_FLUSHSA", (int)XfrmMsg.FlushSa), ("XFRM_MSG_FLUSHPOLICY", (int)XfrmMsg.FlushPolicy), ("XFRM_MSG_NEWAE", (int)XfrmMsg.NewAe),
        ("XFRM_MSG_GETAE", (int)XfrmMsg.GetAe), ("XFRM_MSG_REPORT", (int)XfrmMsg.Report), ("XFRM_MSG_MIGRATE", (int)XfrmMsg.Migrate),
        ("XFRM_MSG_NEWSADINFO", (int)XfrmMsg.NewSadInfo), ("XFRM_MSG_GETSADINFO", (int)XfrmMsg.GetSadInfo), ("XFRM_MSG_NEWSPDINFO", (int)XfrmMsg.NewSpdInfo),
        ("XFRM_MSG_GETSPDINFO", (int)XfrmMsg.GetSpdInfo), ("XFRM_MSG_MAPPING", (int)XfrmMsg.Mapping), ("XFRM_MSG_SETDEFAULT", (int)XfrmMsg.SetDefault),
        ("XFRM_MSG_GETDEFAULT", (int)XfrmMsg.GetDefault),
        ("XFRMA_ALG_AUTH", (int)XfrmAttr.AlgAuth), ("XFRMA_ALG_CRYPT", (int)XfrmAttr.AlgCrypt), ("XFRMA_ALG_COMP", (int)XfrmAttr.AlgComp),
        ("XFRMA_ENCAP", (int)XfrmAttr.Encap), ("XFRMA_TMPL", (int)XfrmAttr.Tmpl), ("XFRMA_SA", (int)XfrmAttr.Sa), ("XFRMA_POLICY", (int)XfrmAttr.Policy),
        ("XFRMA_SEC_CTX", (int)XfrmAttr.SecCtx), ("XFRMA_LTIME_VAL", (int)XfrmAttr.LtimeVal), ("XFRMA_REPLAY_VAL", (int)XfrmAttr.ReplayVal),
        ("XFRMA_REPLAY_THRESH", (int)XfrmAttr.ReplayThresh), ("XFRMA_ETIMER_THRESH", (int)XfrmAttr.EtimerThresh), ("XFRMA_SRCADDR", (int)XfrmAttr.SrcAddr),
        ("XFRMA_COADDR", (int)XfrmAttr.CoAddr), ("XFRMA_LASTUSED", (int)XfrmAttr.LastUsed), ("XFRMA_POLICY_TYPE", (int)XfrmAttr.PolicyType),
        ("XFRMA_MIGRATE", (int)XfrmAttr.Migrate), ("XFRMA_ALG_AEAD", (int)XfrmAttr.AlgAead), ("XFRMA_KMADDRESS", (int)XfrmAttr.KmAddress),
        ("XFRMA_ALG_AUTH_TRUNC", (int)XfrmAttr.AlgAuthTrunc), ("XFRMA_MARK", (int)XfrmAttr.Mark), ("XFRMA_TFCPAD", (int)XfrmAttr.TfcPad),
        ("XFRMA_REPLAY_ESN_VAL", (int)XfrmAttr.ReplayEsnVal), ("XFRMA_SA_EXTRA_FLAGS", (int)XfrmAttr.SaExtraFlags), ("XFRMA_PROTO", (int)XfrmAttr.Proto),
        ("XFRMA_ADDRESS_FILTER", (int)XfrmAttr.AddressFilter), ("XFRMA_PAD", (int)XfrmAttr.Pad), ("XFRMA_OFFLOAD_DEV", (int)XfrmAttr.OffloadDev),
        ("XFRMA_SET_MARK", (int)XfrmAttr.SetMark), ("XFRMA_SET_MARK_MASK", (int)XfrmAttr.SetMarkMask), ("XFRMA_IF_ID", (int)XfrmAttr.IfId),
        ("XFRMA_MTIMER_THRESH", (int)XfrmAttr.MtimerThresh),
        ("XFRMNLGRP_ACQUIRE", (int)XfrmGroup.Acquire), ("XFRMNLGRP_EXPIRE", (int)XfrmGroup.Expire), ("XFRMNLGRP_SA", (int)XfrmGroup.Sa),
        ("XFRMNLGRP_POLICY", (int)XfrmGroup.Policy), ("XFRMNLGRP_AEVENTS", (int)XfrmGroup.Aevents), ("XFRMNLGRP_REPORT", (int)XfrmGroup.Report),
        ("XFRMNLGRP_MIGRATE", (int)XfrmGroup.Migrate), ("XFRMNLGRP_MAPPING", (int)XfrmGroup.Mapping),
        ("XFRM_STATE_ESN", (int)SaFlags.Esn), ("XFRM_STATE_AF_UNSPEC", (int)SaFlags.AfUnspec), ("XFRM_STATE_ALIGN4", (int)SaFlags.Align4),
        ("XFRM_AE_RTHR", (int)XfrmAeFlags.ReplayThreshold), ("XFRM_AE_ETHR", (int)XfrmAeFlags.EtimerThreshold), ("XFRM_AE_CR", (int)XfrmAeFlags.CausedByReplay),
        ("XFRM_AE_CE", (int)XfrmAeFlags.CausedByTimer), ("XFRM_AE_CU", (int)XfrmAeFlags.CausedByUpdate),
        ("XFRM_OFFLOAD_INBOUND", (int)XfrmOffloadFlags.Inbound), ("XFRM_OFFLOAD_PACKET", (int)XfrmOffloadFlags.Packet),
    ];

    [Fact]
    public void Structures_and_numbers_are_those_of_the_headers()
    {
        StringBuilder source = new("#include <stddef.h>\n#include <linux/netlink.h>\n#include <linux/xfrm.h>\n");
        foreach ((Type type, string name, string fields) in Structures)
        {
            source.Append(CultureInfo.InvariantCulture, $"_Static_assert(sizeof({name}) == {SizeOf(type)}, \"size of {name}\");\n");
            FieldInfo[] ours = type.GetFields(BindingFlags.Instance | BindingFlags.Public);
            string[] theirs = fields.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            Assert.True(theirs.Length == 0 || theirs.Length == ours.Length, name);
            foreach ((FieldInfo field, string theirName) in ours.Zip(theirs))
            {
                source.Append(CultureInfo.InvariantCulture, $"_Static_assert(offsetof({name}, {theirName}) == {Marshal.OffsetOf(type, field.Name)}, \"{name}.{theirName}\");\n");
            }
        }
        foreach ((string name, int value) in Numbers)
        {
            source.Append(CultureInfo.InvariantCulture, $"_Static_assert({name} == {value}, \"{name}\");\n");
        }
        Assert.Equal("", Compile(source.ToString()));
    }

    private static int SizeOf(Type type) => (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    private static string Compile(string source)
    {
        using Process compiler = Process.Start(new ProcessStartInfo("gcc", ["-fsyntax-only", "-x", "c", "-"])
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
        })!;
        compiler.StandardInput.Write(source);
        compiler.StandardInput.Close();
        string errors = compiler.StandardError.ReadToEnd();
        compiler.WaitForExit();
        return compiler.ExitCode == 0 ? errors : errors + "exit code " + compiler.ExitCode;
    }
}
