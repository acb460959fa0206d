using Xfrmd.Crypto;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests;

/// <summary>SAs for tests: keys are made of counting bytes.</summary>
internal static class Sas
{
    public const string Left4 = "192.0.2.1", Right4 = "192.0.2.2", Left6 = "2001:db8::1", Right6 = "2001:db8::2";

    public static SecurityAssociation Gcm(XfrmMode mode, ushort family = AddressFamily.Inet, uint spi = 0x1000, Action<SecurityAssociation>? change = null) => Create(IpProtocol.Esp, mode, family, spi, sa =>
    {
        sa.Aead = new SaAead("rfc4106(gcm(aes))", Key(20), 160, 128);
        change?.Invoke(sa);
    });

    public static SecurityAssociation Authenc(
        string cipher, int cipherKey, string? auth, int authKey, int truncBits, XfrmMode mode, ushort family = AddressFamily.Inet, uint spi = 0x1000, Action<SecurityAssociation>? change = null) =>
        Create(IpProtocol.Esp, mode, family, spi, sa =>
        {
            sa.Crypt = new SaCrypt(cipher, Key(cipherKey), cipherKey * 8);
            sa.Auth = auth is null ? null : new SaAuth(auth, Key(authKey), authKey * 8, truncBits);
            change?.Invoke(sa);
        });

    public static SecurityAssociation Ah(string auth, int key, int truncBits, XfrmMode mode, ushort family = AddressFamily.Inet, uint spi = 0x2000, Action<SecurityAssociation>? change = null) =>
        Create(IpProtocol.Ah, mode, family, spi, sa =>
        {
            sa.Auth = new SaAuth(auth, Key(key), key * 8, truncBits);
            change?.Invoke(sa);
        });

    public static SecurityAssociation Comp(XfrmMode mode, ushort family = AddressFamily.Inet, uint cpi = 0x100) =>
        Create(IpProtocol.Comp, mode, family, cpi, static sa => sa.Comp = new SaComp("deflate"));

    public static SecurityAssociation Create(byte proto, XfrmMode mode, ushort family, uint spi, Action<SecurityAssociation> change)
    {
        bool isIpv4 = family == AddressFamily.Inet;
        SecurityAssociation sa = new()
        {
            Family = family,
            Mode = mode,
            Flags = SaFlags.AfUnspec,
            Saddr = XfrmAddress.Parse(isIpv4 ? Left4 : Left6),
        };
        sa.Id.Daddr = XfrmAddress.Parse(isIpv4 ? Right4 : Right6);
        sa.Id.Proto = proto;
        sa.Id.Spi = Be32.From(spi);
        change(sa);
        ReplayState replay = (sa.Flags & SaFlags.Esn) != 0 ? new ReplayState { Mode = ReplayMode.Esn, Window = 64, Bitmap = [0, 0] } : new ReplayState { Window = proto == IpProtocol.Comp ? 0u : 32u };
        sa.SetReplay(replay);
        Outcome outcome = SaInitializer.Initialize(sa);
        Assert.True(outcome.IsOk, outcome.ExtAck);
        return sa;
    }

    public static SecretKey Key(int length) => new([.. Enumerable.Range(1, length).Select(static i => (byte)(i * 7))]);
}
