using System.Runtime.CompilerServices;
using Xfrmd.Crypto;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>Messages about SAs.</summary>
internal static class SaMessages
{
    /// <summary><c>pfkey_xfrm_state2msg</c>: all of an SA, keys included. Null where PF_KEY has no number for its mode or family.</summary>
    public static PfKeyWriter? WriteState(in SadbMsg header, SecurityAssociation sa) => Write(header, sa, hard: true, soft: true, keys: true);

    /// <summary><c>pfkey_xfrm_state2msg_expire</c>: without keys, and of the limits the one that was reached.</summary>
    public static PfKeyWriter? WriteExpired(in SadbMsg header, SecurityAssociation sa, bool hard, XfrmLifetimeCur? lifetime) =>
        Write(header, sa, hard, soft: !hard, keys: false, lifetime);

    /// <summary><c>pfkey_send_acquire</c> up to the policy.</summary>
    public static PfKeyWriter WriteAcquire(in SadbMsg header, SecurityAssociation larval, in PolicyTemplate template, Policy policy)
    {
        PfKeyWriter writer = new(header);
        writer.PutHost(SadbExtType.AddressSrc, larval.Family, larval.Saddr);
        writer.PutHost(SadbExtType.AddressDst, larval.Family, larval.Id.Daddr);
        writer.Put(SadbExtType.XPolicy, new SadbXPolicy
        {
            Type = IpsecPolicyType.Ipsec,
            Dir = IpsecDir.Outbound,
            Id = policy.Index,
            Priority = policy.Priority,
        });
        Proposals.Write(writer, larval.Id.Proto, template);
        writer.Complete();
        return writer;
    }

    /// <summary><c>pfkey_send_new_mapping</c>.</summary>
    public static PfKeyWriter WriteMapping(in SadbMsg header, SecurityAssociation sa, Be16 oldPort, in XfrmAddress newAddress, Be16 newPort)
    {
        PfKeyWriter writer = new(header);
        writer.Put(SadbExtType.Sa, new SadbSa { Spi = sa.Id.Spi });
        writer.PutHost(SadbExtType.AddressSrc, sa.Family, sa.Saddr);
        writer.Put(SadbExtType.XNatTSport, new SadbXNatTPort { Port = oldPort });
        writer.PutHost(SadbExtType.AddressDst, sa.Family, newAddress);
        writer.Put(SadbExtType.XNatTDport, new SadbXNatTPort { Port = newPort });
        writer.Complete();
        return writer;
    }

    // __pfkey_xfrm_state2msg
    private static PfKeyWriter? Write(in SadbMsg header, SecurityAssociation sa, bool hard, bool soft, bool keys, XfrmLifetimeCur? lifetime = null)
    {
        if (PfKeyNumbers.ModeFromXfrm(sa.Mode) is not { } mode || SocketAddress.Length(sa.Family) == 0)
        {
            return null;
        }
        PfKeyWriter writer = new(header);
        writer.Put(SadbExtType.Sa, Describe(sa));
        if (hard)
        {
            writer.Put(SadbExtType.LifetimeHard, Lifetimes.Hard(sa.Lifetime));
        }
        if (soft)
        {
            writer.Put(SadbExtType.LifetimeSoft, Lifetimes.Soft(sa.Lifetime));
        }
        writer.Put(SadbExtType.LifetimeCurrent, Lifetimes.Current(lifetime ?? sa.CurrentLifetime));
        writer.PutHost(SadbExtType.AddressSrc, sa.Family, sa.Saddr);
        writer.PutHost(SadbExtType.AddressDst, sa.Family, sa.Id.Daddr);
        if (!sa.Selector.Saddr.Equals(sa.Saddr, sa.Family))
        {
            writer.PutAddress(SadbExtType.AddressProxy, PfKeyNumbers.ProtoFromXfrm(sa.Selector.Proto), sa.Selector.PrefixlenS,
                new SocketAddress(sa.Family, sa.Selector.Saddr, sa.Selector.Sport));
        }
        int surplus = 0;
        if (keys)
        {
            surplus += PutKey(writer, SadbExtType.KeyAuth, sa.Auth?.Key, sa.Auth?.KeyBits ?? 0);
            surplus += PutKey(writer, SadbExtType.KeyEncrypt, sa.Crypt?.Key, sa.Crypt?.KeyBits ?? 0);
        }
        writer.Put(SadbExtType.XSa2, new SadbXSa2 { Mode = mode, Reqid = sa.Reqid });
        if (sa.Encap is { EncapType: not 0 } encap)
        {
            writer.Put(SadbExtType.XNatTType, new SadbXNatTType { Type = (byte)encap.EncapType });
            writer.Put(SadbExtType.XNatTSport, new SadbXNatTPort { Port = encap.EncapSport });
            writer.Put(SadbExtType.XNatTDport, new SadbXNatTPort { Port = encap.EncapDport });
        }
        writer.Complete(surplus);
        return writer;
    }

    private static SadbSa Describe(SecurityAssociation sa) => new()
    {
        Spi = sa.Id.Spi,
        Replay = sa.LegacyReplayWindow,
        State = sa.State switch
        {
            SaState.Valid => sa.IsDying ? SadbSaState.Dying : SadbSaState.Mature,
            SaState.Acq => SadbSaState.Larval,
            _ => SadbSaState.Dead,
        },
        Auth = sa.Auth is { } auth ? AlgorithmCatalogue.FindAuth(auth.Name)?.PfKeyId ?? 0 : (byte)0,
        Encrypt = sa switch
        {
            { Comp: { } compression } => AlgorithmCatalogue.FindCompression(compression.Name)?.PfKeyId ?? 0,
            { Crypt: { } crypt } => AlgorithmCatalogue.FindCipher(crypt.Name)?.PfKeyId ?? 0,
            _ => 0,
        },
        Flags = ((sa.Flags & SaFlags.NoEcn) != 0 ? SadbSaFlags.NoEcn : 0)
            | ((sa.Flags & SaFlags.DecapDscp) != 0 ? SadbSaFlags.DecapDscp : 0)
            | ((sa.Flags & SaFlags.NoPmtuDisc) != 0 ? SadbSaFlags.NoPmtuDisc : 0),
    };

    // The header of a key is counted where it has bits, and written where it has bytes: 0xffffffff bits are none, as (bits + 7) / 8 overflows in 32 bits.
    private static int PutKey(PfKeyWriter writer, SadbExtType type, SecretKey? key, int bits)
    {
        if (key is null || bits == 0)
        {
            return 0;
        }
        if (key.Length == 0)
        {
            return Unsafe.SizeOf<SadbKey>();
        }
        key.Span.CopyTo(writer.Begin(type, new SadbKey { Bits = (ushort)bits }, ExtensionTable.Align(key.Length)));
        return 0;
    }
}
