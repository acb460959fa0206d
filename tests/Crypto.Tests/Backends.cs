using System.Runtime.InteropServices;
using Xfrmd.Crypto.IpsecMb;
using Xfrmd.Crypto.Managed;
using Xfrmd.Crypto.OpenSsl;

namespace Xfrmd.Crypto.Tests;

/// <summary>All that may compute here; a machine that lacks one of the libraries fails.</summary>
internal static class Backends
{
    public static CryptoBackend Managed { get; } = new ManagedBackend();

    public static CryptoBackend OpenSsl { get; } = Make(LibCrypto.IsAvailable ? new OpenSslBackend() : null, "libcrypto: apt install libssl3");

    /// <summary>libIPSec_MB is made for x86-64 alone.</summary>
    public static CryptoBackend IpsecMb { get; } = RuntimeInformation.ProcessArchitecture != Architecture.X64 ? OpenSsl
        : Make(IpsecMbBackend.Before(OpenSsl) as IpsecMbBackend, "libIPSec_MB: apt install libipsec-mb1");

    public static CryptoBackend[] Native => [IpsecMb, OpenSsl];

    public static CryptoBackend[] All => [IpsecMb, OpenSsl, Managed];

    private static CryptoBackend Make(CryptoBackend? backend, string library) => backend ?? throw new InvalidOperationException($"the tests need {library}");
}
