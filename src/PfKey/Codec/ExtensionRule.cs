using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>What an extension must look like.</summary>
/// <param name="Type">The extension.</param>
/// <param name="MinLength">Bytes that it has at least.</param>
/// <param name="Check">What is looked at beyond its length.</param>
internal readonly record struct ExtensionRule(SadbExtType Type, int MinLength, ExtensionCheck Check = ExtensionCheck.None);
