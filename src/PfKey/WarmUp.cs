using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Xfrmd.Crypto;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

/// <summary>
/// A conversation that nobody hears, in a namespace that nobody sees: it loads what the first real answers need (libcrypto, its random
/// numbers and algorithms, the pages of our own code). OpenIKED waits one millisecond for an answer.
/// </summary>
internal sealed class WarmUp : IReceiveBuffer, IDisposable
{
    private const byte Sha1 = 3, AesCbc = 12;
    private static readonly XfrmAddress Here = new([127, 0, 0, 1]), There = new([127, 0, 0, 2]);
    private readonly XfrmNamespace _space;
    private readonly PfKeySocket _socket;
    private uint _seq;
    private int _answers;
    private int _errors;

    private WarmUp(TimeProvider time)
    {
        _space = new XfrmNamespace(0, time);
        _socket = new PfKeySocket(new PfKeyNamespace(_space, new ReqidGenerator()), this);
    }

    public int UnreadDatagrams => 0;

    public double Fullness => 0;

    public bool IsClosed => false;

    /// <summary>Has the whole conversation. Returns how many answers there were, and how many of them were errors.</summary>
    public static (int Answers, int Errors) Run(TimeProvider time)
    {
        using WarmUp conversation = new(time);
        conversation.Converse();
        return (conversation._answers, conversation._errors);
    }

    public ulong SourceOf(int place, ulong otherwise) => otherwise;

    public bool TryEnqueue(ReadOnlySpan<byte> datagram, ulong source = 0)
    {
        _answers++;
        _errors += MemoryMarshal.TryRead(datagram, out SadbMsg header) && header.Errno != 0 ? 1 : 0;
        return true;
    }

    public void Dispose()
    {
        _socket.Dispose();
        _space.Dispose();
    }

    private void Converse()
    {
        Ask(SadbType.Flush, SadbSatype.Unspec);
        Ask(SadbType.Register, SadbSatype.Esp);
        Ask(SadbType.GetSpi, SadbSatype.Esp, Ends);
        uint spi = 0x1000;
        foreach (CipherAlgorithm row in AlgorithmCatalogue.Ciphers)
        {
            if (row.Available)
            {
                AddSa(++spi, Sha1, row.PfKeyId);
            }
        }
        foreach (AuthAlgorithm row in AlgorithmCatalogue.Auth)
        {
            // ESP takes no authentication of 0 bits.
            if (row is { Available: true, PfKeySupported: true, DefaultTruncBits: not 0 })
            {
                AddSa(++spi, row.PfKeyId, AesCbc);
            }
        }
        Ask(SadbType.XSpdAdd, SadbSatype.Unspec, writer =>
        {
            Ends(writer);
            writer.Put(SadbExtType.XPolicy, new SadbXPolicy { Type = IpsecPolicyType.Discard, Dir = IpsecDir.Outbound });
        });
        Ask(SadbType.Dump, SadbSatype.Unspec);
        Ask(SadbType.XSpdDump, SadbSatype.Unspec);
        Ask(SadbType.XSpdFlush, SadbSatype.Unspec);
        Ask(SadbType.Flush, SadbSatype.Unspec);
    }

    private void AddSa(uint spi, byte auth, byte cipher) => Ask(SadbType.Add, SadbSatype.Esp, writer =>
    {
        writer.Put(SadbExtType.Sa, new SadbSa { Spi = Be32.From(spi), Auth = auth, Encrypt = cipher });
        Ends(writer);
        PutKey(writer, SadbExtType.KeyAuth, AlgorithmCatalogue.FindAuthByPfKeyId(auth)?.PfKeyMinBits ?? 0);
        PutKey(writer, SadbExtType.KeyEncrypt, AlgorithmCatalogue.FindCipherByPfKeyId(cipher)?.PfKeyMinBits ?? 0);
    });

    private void Ask(SadbType type, SadbSatype satype, Action<PfKeyWriter>? extensions = null)
    {
        using PfKeyWriter writer = new(new SadbMsg { Version = SadbMsg.V2, Type = type, Satype = satype, Seq = ++_seq });
        extensions?.Invoke(writer);
        writer.Complete();
        _socket.Send(writer.Written, default, new Caller(0, netAdmin: true));
    }

    private static void Ends(PfKeyWriter writer)
    {
        writer.PutHost(SadbExtType.AddressSrc, AddressFamily.Inet, Here);
        writer.PutHost(SadbExtType.AddressDst, AddressFamily.Inet, There);
    }

    private static void PutKey(PfKeyWriter writer, SadbExtType type, int bits) =>
        RandomNumberGenerator.Fill(writer.Begin(type, new SadbKey { Bits = (ushort)bits }, ExtensionTable.Align(bits / 8)));
}
