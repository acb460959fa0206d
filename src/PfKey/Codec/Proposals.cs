using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Crypto;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>SUPPORTED_AUTH, SUPPORTED_ENCRYPT and PROPOSAL: what the algorithm catalogue offers.</summary>
internal static class Proposals
{
    private const uint HardAddTime = 24 * 60 * 60, SoftAddTime = 20 * 60 * 60, HardUseTime = 8 * 60 * 60, SoftUseTime = 7 * 60 * 60;
    private const byte ReplayWindow = 32;
    private const int MaskBits = 32;

    /// <summary><c>compose_sadb_supported</c>: both lists, whatever type of SA was asked for.</summary>
    public static void WriteSupported(PfKeyWriter writer)
    {
        int auth = writer.Length;
        writer.Put(SadbExtType.SupportedAuth, default(SadbSupported));
        foreach (AuthAlgorithm row in AlgorithmCatalogue.Auth)
        {
            if (row.PfKeySupported && row.Available)
            {
                Put(writer, new SadbAlg { Id = row.PfKeyId, Minbits = (ushort)row.PfKeyMinBits, Maxbits = (ushort)row.PfKeyMaxBits });
            }
        }
        writer.EndAt(auth, SadbExtType.SupportedAuth);
        int encrypt = writer.Length;
        writer.Put(SadbExtType.SupportedEncrypt, default(SadbSupported));
        foreach (CipherAlgorithm row in AlgorithmCatalogue.Ciphers)
        {
            if (row.PfKeySupported && row.Available)
            {
                Put(writer, new SadbAlg { Id = row.PfKeyId, Ivlen = row.PfKeyIvLength, Minbits = (ushort)row.PfKeyMinBits, Maxbits = (ushort)row.PfKeyMaxBits });
            }
        }
        writer.EndAt(encrypt, SadbExtType.SupportedEncrypt);
    }

    /// <summary><c>dump_ah_combs</c>, <c>dump_esp_combs</c>: what the template's masks allow; nothing for other protocols.</summary>
    public static void Write(PfKeyWriter writer, byte proto, in PolicyTemplate template)
    {
        if (proto is not (IpProtocol.Ah or IpProtocol.Esp))
        {
            return;
        }
        int start = writer.Length;
        writer.Put(SadbExtType.Proposal, new SadbProp { Replay = ReplayWindow });
        if (proto == IpProtocol.Ah)
        {
            WriteAuth(writer, template, AlgorithmCatalogue.Auth, null);
        }
        else
        {
            foreach (CipherAlgorithm cipher in AlgorithmCatalogue.Ciphers)
            {
                if (cipher.PfKeySupported && cipher.Available && IsSet(template.Ealgos, cipher.PfKeyId))
                {
                    // The first row is the null authentication, which no proposal of ESP has.
                    WriteAuth(writer, template, AlgorithmCatalogue.Auth[1..], cipher);
                }
            }
        }
        writer.EndAt(start, SadbExtType.Proposal);
    }

    private static void WriteAuth(PfKeyWriter writer, in PolicyTemplate template, ReadOnlySpan<AuthAlgorithm> rows, CipherAlgorithm? cipher)
    {
        foreach (AuthAlgorithm row in rows)
        {
            if (row.PfKeySupported && row.Available && IsSet(template.Aalgos, row.PfKeyId))
            {
                Put(writer, new SadbComb
                {
                    Auth = row.PfKeyId,
                    AuthMinbits = (ushort)row.PfKeyMinBits,
                    AuthMaxbits = (ushort)row.PfKeyMaxBits,
                    Encrypt = cipher?.PfKeyId ?? 0,
                    EncryptMinbits = (ushort)(cipher?.PfKeyMinBits ?? 0),
                    EncryptMaxbits = (ushort)(cipher?.PfKeyMaxBits ?? 0),
                    HardAddtime = HardAddTime,
                    SoftAddtime = SoftAddTime,
                    HardUsetime = HardUseTime,
                    SoftUsetime = SoftUseTime,
                });
            }
        }
    }

    // aalg_tmpl_set, ealg_tmpl_set: numbers that the mask has no bit for are never in it.
    private static bool IsSet(uint mask, byte id) => id < MaskBits && ((mask >> id) & 1) != 0;

    private static void Put<T>(PfKeyWriter writer, in T entry) where T : unmanaged =>
        MemoryMarshal.Write(writer.Extend(Unsafe.SizeOf<T>()), entry);
}
