using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Tests.Abi;

/// <summary>The structs of src/PfKey/Abi against linux/pfkeyv2.h, as a C compiler lays them out.</summary>
public sealed class LayoutTests
{
    private static readonly (Type Type, string Name, string Prefix)[] Structs =
    [
        (typeof(SadbMsg), "sadb_msg", "sadb_msg_"),
        (typeof(SadbExt), "sadb_ext", "sadb_ext_"),
        (typeof(SadbSa), "sadb_sa", "sadb_sa_"),
        (typeof(SadbLifetime), "sadb_lifetime", "sadb_lifetime_"),
        (typeof(SadbAddress), "sadb_address", "sadb_address_"),
        (typeof(SadbKey), "sadb_key", "sadb_key_"),
        (typeof(SadbIdent), "sadb_ident", "sadb_ident_"),
        (typeof(SadbSens), "sadb_sens", "sadb_sens_"),
        (typeof(SadbProp), "sadb_prop", "sadb_prop_"),
        (typeof(SadbComb), "sadb_comb", "sadb_comb_"),
        (typeof(SadbSupported), "sadb_supported", "sadb_supported_"),
        (typeof(SadbAlg), "sadb_alg", "sadb_alg_"),
        (typeof(SadbSpirange), "sadb_spirange", "sadb_spirange_"),
        (typeof(SadbXKmprivate), "sadb_x_kmprivate", "sadb_x_kmprivate_"),
        (typeof(SadbXPolicy), "sadb_x_policy", "sadb_x_policy_"),
        (typeof(SadbXIpsecrequest), "sadb_x_ipsecrequest", "sadb_x_ipsecrequest_"),
        (typeof(SadbXSa2), "sadb_x_sa2", "sadb_x_sa2_"),
        (typeof(SadbXNatTType), "sadb_x_nat_t_type", "sadb_x_nat_t_type_"),
        (typeof(SadbXNatTPort), "sadb_x_nat_t_port", "sadb_x_nat_t_port_"),
        (typeof(SadbXSecCtx), "sadb_x_sec_ctx", "sadb_x_ctx_"),
        (typeof(SadbXKmaddress), "sadb_x_kmaddress", "sadb_x_kmaddress_"),
        (typeof(SadbXFilter), "sadb_x_filter", "sadb_x_filter_"),
        (typeof(SockaddrIn), "sockaddr_in", "sin_"),
        (typeof(SockaddrIn6), "sockaddr_in6", "sin6_"),
    ];

    // Where the header's name is not ours in lower case after the struct's prefix.
    private static readonly Dictionary<string, string> Irregular = new()
    {
        ["sadb_ident.ExtType"] = "sadb_ident_exttype",
        ["sadb_ext.ExtType"] = "sadb_ext_type",
        ["sadb_sens.SensLevel"] = "sadb_sens_sens_level",
        ["sadb_sens.SensLen"] = "sadb_sens_sens_len",
        ["sadb_sens.IntegLevel"] = "sadb_sens_integ_level",
        ["sadb_sens.IntegLen"] = "sadb_sens_integ_len",
        ["sadb_comb.AuthMinbits"] = "sadb_comb_auth_minbits",
        ["sadb_comb.AuthMaxbits"] = "sadb_comb_auth_maxbits",
        ["sadb_comb.EncryptMinbits"] = "sadb_comb_encrypt_minbits",
        ["sadb_comb.EncryptMaxbits"] = "sadb_comb_encrypt_maxbits",
        ["sadb_comb.SoftAllocations"] = "sadb_comb_soft_allocations",
        ["sadb_comb.HardAllocations"] = "sadb_comb_hard_allocations",
        ["sadb_comb.SoftBytes"] = "sadb_comb_soft_bytes",
        ["sadb_comb.HardBytes"] = "sadb_comb_hard_bytes",
        ["sadb_comb.SoftAddtime"] = "sadb_comb_soft_addtime",
        ["sadb_comb.HardAddtime"] = "sadb_comb_hard_addtime",
        ["sadb_comb.SoftUsetime"] = "sadb_comb_soft_usetime",
        ["sadb_comb.HardUsetime"] = "sadb_comb_hard_usetime",
        ["sadb_x_sec_ctx.Len"] = "sadb_x_sec_len",
        ["sadb_x_sec_ctx.ExtType"] = "sadb_x_sec_exttype",
        ["sadb_x_sec_ctx.CtxLen"] = "sadb_x_ctx_len",
        ["sockaddr_in.Address"] = "sin_addr",
        ["sockaddr_in6.Address"] = "sin6_addr",
        ["sockaddr_in6.ScopeId"] = "sin6_scope_id",
    };

    private static readonly Dictionary<string, Type> Enums = new()
    {
        ["SADB_"] = typeof(SadbType),
        ["SADB_EXT_"] = typeof(SadbExtType),
        ["SADB_SATYPE_"] = typeof(SadbSatype),
        ["SADB_SASTATE_"] = typeof(SadbSaState),
        ["SADB_SAFLAGS_"] = typeof(SadbSaFlags),
        ["IPSEC_MODE_"] = typeof(IpsecMode),
        ["IPSEC_POLICY_"] = typeof(IpsecPolicyType),
        ["IPSEC_DIR_"] = typeof(IpsecDir),
        ["IPSEC_LEVEL_"] = typeof(IpsecLevel),
    };

    [Fact]
    public void Every_struct_of_the_folder_is_compared() => Assert.Equal(
        typeof(SadbMsg).Assembly.GetTypes().Where(t => t.Namespace == typeof(SadbMsg).Namespace && t is { IsValueType: true, IsEnum: false, IsNested: false }).OrderBy(t => t.Name),
        Structs.Select(s => s.Type).OrderBy(t => t.Name));

    [Fact]
    public void A_C_compiler_agrees_on_sizes_offsets_and_numbers()
    {
        StringBuilder source = new("#include <stddef.h>\n#include <netinet/in.h>\n#include <linux/types.h>\n#include <linux/pfkeyv2.h>\n#include <linux/ipsec.h>\n");
        foreach ((Type type, string name, string prefix) in Structs)
        {
            Claim(source, $"sizeof(struct {name}) == {SizeOf(type)}");
            foreach (FieldInfo field in type.GetFields(BindingFlags.Public | BindingFlags.Instance))
            {
                string member = Irregular.GetValueOrDefault($"{name}.{field.Name}") ?? prefix + field.Name.ToLowerInvariant();
                Claim(source, $"offsetof(struct {name}, {member}) == {Marshal.OffsetOf(type, field.Name)}");
                Claim(source, $"sizeof(((struct {name} *)0)->{member}) == {SizeOf(field.FieldType)}");
            }
        }
        foreach ((string prefix, Type type) in Enums)
        {
            foreach (object value in Enum.GetValues(type))
            {
                // Where two names have one value, either is compared.
                string text = Enum.GetName(type, value)!;
                if (HeaderNameOf(prefix, text) is { } name)
                {
                    Claim(source, $"{name} == {Convert.ToUInt32(value, CultureInfo.InvariantCulture)}u");
                }
            }
        }
        ProcessStartInfo start = new("gcc", ["-x", "c", "-fsyntax-only", "-"]) { RedirectStandardInput = true, RedirectStandardError = true };
        using Process compiler = Process.Start(start)!;
        compiler.StandardInput.Write(source);
        compiler.StandardInput.Close();
        string complaints = compiler.StandardError.ReadToEnd();
        compiler.WaitForExit();
        Assert.True(compiler.ExitCode == 0, complaints);
    }

    private static void Claim(StringBuilder source, string claim) => source.Append(CultureInfo.InvariantCulture, $"_Static_assert({claim}, \"{claim}\");\n");

    // XSpdUpdate -> SADB_X_SPDUPDATE, AddressSrc -> SADB_EXT_ADDRESS_SRC, XNatTType -> SADB_X_EXT_NAT_T_TYPE.
    private static string? HeaderNameOf(string prefix, string name)
    {
        bool private_ = name.Length > 1 && name[0] == 'X' && char.IsUpper(name[1]);
        string rest = private_ ? name[1..] : name;
        string head = private_ ? prefix.Replace("SADB_", "SADB_X_", StringComparison.Ordinal) : prefix;
        string plain = rest.ToUpperInvariant();
        string words = string.Concat(rest.Select((c, i) => i > 0 && char.IsUpper(c) ? "_" + c : char.ToUpperInvariant(c).ToString()));
        return (prefix, name) switch
        {
            (_, "None" or "Max") when prefix is "SADB_SAFLAGS_" => null,
            ("SADB_EXT_", _) => head + words,
            ("SADB_", "XNatTNewMapping") => "SADB_X_NAT_T_NEW_MAPPING",
            ("SADB_SAFLAGS_", "DecapDscp") => "SADB_SAFLAGS_DECAP_DSCP",
            _ => head + plain,
        };
    }

    private static int SizeOf(Type type) => (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;
}
